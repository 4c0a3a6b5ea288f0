import { type PolicyStatement } from '../policy-document';
import { listOf } from './elements';
import { OPERATORS } from './operators';
import { type Matcher } from './patterns';
import { PolicyError } from './policy-error';
import { type RequestContext } from './request-context';

/** Whether one condition of a statement holds for a request. */
export type Condition = (context: RequestContext) => boolean;

const NAME = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/i;
const KEY = /^[A-Za-z0-9-]+:\S+/;

/** @throws PolicyError for an operator, a key or a value that is not known */
export function readConditions(block: PolicyStatement['Condition']): Condition[] {
  if (block === undefined) return [];
  if (typeof block !== 'object' || block === null || Array.isArray(block))
    throw new PolicyError('Condition has to be an object of operators.');
  return Object.entries(block).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, values]) => {
      if (!KEY.test(key)) throw new PolicyError(`"${key}" is no condition key.`);
      return readCondition(operator, key.toLowerCase(), listOf(values, 'a condition').map(String));
    }),
  );
}

function readCondition(name: string, key: string, values: string[]): Condition {
  const [, set, base = '', ifExists] = NAME.exec(name) ?? [];
  if (base.toLowerCase() === 'null') {
    if (set !== undefined || ifExists !== undefined) throw new PolicyError(`There is no operator "${name}".`);
    return nullCondition(key, values);
  }
  const operator = OPERATORS.get(base.toLowerCase());
  if (operator === undefined) throw new PolicyError(`There is no operator "${name}" here.`);
  const { negated } = operator;
  const matchers = values.map((value) => operator.compare(value));
  const holds = (value: string, context: RequestContext): boolean =>
    anyOf(matchers, value, context) !== negated;
  const unless = ifExists !== undefined;
  // One says false where there is no value, the other true: which of them goes, AWS does not tell.
  if (unless && set?.toLowerCase() === 'foranyvalue')
    throw new PolicyError(`What "${name}" means where the key is not there is not documented.`);
  switch (set?.toLowerCase()) {
    case 'forallvalues':
      return (context) => valuesOf(context, key).every((value) => holds(value, context));
    case 'foranyvalue':
      return (context) => {
        const actual = valuesOf(context, key);
        return actual.some((value) => holds(value, context));
      };
    default:
      return (context) => {
        const actual = context.get(key);
        if (actual === undefined) return unless || negated;
        // Several values, and none of the operators for them: no answer is right, and AWS's is not documented.
        return typeof actual === 'string' && holds(actual, context);
      };
  }
}

const anyOf = (matchers: Matcher[], value: string, context: RequestContext): boolean =>
  matchers.some((matches) => matches(value, context));

function valuesOf(context: RequestContext, key: string): readonly string[] {
  const actual = context.get(key);
  return actual === undefined ? [] : typeof actual === 'string' ? [actual] : actual;
}

/** `Null`: whether the key is missing, `"true"`, or there, `"false"`. */
function nullCondition(key: string, values: string[]): Condition {
  const wanted = values.map((value) => {
    if (!/^(true|false)$/i.test(value))
      throw new PolicyError(`Null takes "true" or "false", and not "${value}".`);
    return value.toLowerCase() === 'true';
  });
  return (context) => wanted.includes(context.get(key) === undefined);
}
