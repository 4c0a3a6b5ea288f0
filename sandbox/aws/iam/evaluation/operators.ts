import { PolicyError } from './policy-error';
import { arnMatcher, type Matcher, textMatcher } from './patterns';

/** A condition operator without its prefix and suffix. */
export interface Operator {
  /** Whether it holds where none of the policy's values does, and where the key is not there. */
  negated: boolean;
  /** @throws PolicyError for a value that the operator cannot compare with */
  compare(policyValue: string): Matcher;
}

const text =
  (wildcards: boolean, ignoreCase: boolean) =>
  (value: string): Matcher =>
    textMatcher(value, { wildcards, ignoreCase });

/** Compares numbers; what is no number in the request equals nothing. */
const numeric =
  (holds: (actual: number, wanted: number) => boolean) =>
  (value: string): Matcher => {
    const wanted = readNumber(value);
    if (wanted === undefined) throw new PolicyError(`"${value}" is no number.`);
    return (actual) => {
      const number = readNumber(actual);
      return number !== undefined && holds(number, wanted);
    };
  };

const readNumber = (value: string): number | undefined =>
  /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;

/** Compares instants: ISO 8601, or seconds since 1970. */
const date =
  (holds: (actual: number, wanted: number) => boolean) =>
  (value: string): Matcher => {
    const wanted = readInstant(value);
    if (wanted === undefined) throw new PolicyError(`"${value}" is no date.`);
    return (actual) => {
      const instant = readInstant(actual);
      return instant !== undefined && holds(instant, wanted);
    };
  };

function readInstant(value: string): number | undefined {
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

function bool(value: string): Matcher {
  if (!/^(true|false)$/i.test(value)) throw new PolicyError(`"${value}" is neither true nor false.`);
  return (actual) => actual.toLowerCase() === value.toLowerCase();
}

/** An ARN operator compares values that are ARNs only. */
const arn = (value: string): Matcher => {
  const matches = arnMatcher(value);
  return (actual, context) => actual.startsWith('arn:') && matches(actual, context);
};

const both = (name: string, not: string, compare: Operator['compare']): [string, Operator][] => [
  [name.toLowerCase(), { negated: false, compare }],
  [not.toLowerCase(), { negated: true, compare }],
];
const one = (name: string, compare: Operator['compare']): [string, Operator] => [
  name.toLowerCase(),
  { negated: false, compare },
];

/** "Condition operators" (IAM User Guide), without those for addresses and binary values, and without Null. By name in lower case. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...both('StringEquals', 'StringNotEquals', text(false, false)),
  ...both('StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase', text(false, true)),
  ...both('StringLike', 'StringNotLike', text(true, false)),
  ...both(
    'NumericEquals',
    'NumericNotEquals',
    numeric((actual, wanted) => actual === wanted),
  ),
  one(
    'NumericLessThan',
    numeric((actual, wanted) => actual < wanted),
  ),
  one(
    'NumericLessThanEquals',
    numeric((actual, wanted) => actual <= wanted),
  ),
  one(
    'NumericGreaterThan',
    numeric((actual, wanted) => actual > wanted),
  ),
  one(
    'NumericGreaterThanEquals',
    numeric((actual, wanted) => actual >= wanted),
  ),
  ...both(
    'DateEquals',
    'DateNotEquals',
    date((actual, wanted) => actual === wanted),
  ),
  one(
    'DateLessThan',
    date((actual, wanted) => actual < wanted),
  ),
  one(
    'DateLessThanEquals',
    date((actual, wanted) => actual <= wanted),
  ),
  one(
    'DateGreaterThan',
    date((actual, wanted) => actual > wanted),
  ),
  one(
    'DateGreaterThanEquals',
    date((actual, wanted) => actual >= wanted),
  ),
  one('Bool', bool),
  // ArnEquals and ArnLike are the same (IAM User Guide).
  ...both('ArnEquals', 'ArnNotEquals', arn),
  ...both('ArnLike', 'ArnNotLike', arn),
]);
