import { z } from 'zod';
import { didYouMean } from './nearest';
import { printable } from './printable';
import { type PlanProblem } from './plan-error';

/** What the schema finds wrong with a value, in words that say what to write instead. */
export function schemaProblems(schema: z.ZodType, value: unknown, error: z.ZodError): PlanProblem[] {
  return error.issues.flatMap((issue) => problemsOf(schema, value, issue));
}

function problemsOf(schema: z.ZodType, root: unknown, issue: z.core.$ZodIssue): PlanProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      atKey: true,
      message: `is not known here${didYouMean(key, known) || `; known are ${known.join(', ')}`}`,
    }));
  }
  if (issue.code === 'invalid_key') {
    // A name that a person chose, such as a tag's: what is wrong with it is said of it.
    const message = issue.issues[0]?.message ?? 'is no name that can be used here';
    return [{ path: issue.path, atKey: true, message }];
  }
  if (issue.code === 'invalid_union') {
    // The branch for the type that was written is the one whose complaint helps, and it may be about a part.
    const branch = issue.errors.find((issues) => !isOfOtherType(issues[0])) ?? issue.errors.at(-1);
    const inside = branch?.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })) ?? [];
    if (inside.length > 0) return inside.flatMap((inner) => problemsOf(schema, root, inner));
  }
  return [{ path: issue.path, message: messageOf(issue, valueAt(root, issue.path)) }];
}

const isOfOtherType = (issue: z.core.$ZodIssue | undefined): boolean =>
  issue?.code === 'invalid_type' && issue.path.length === 0;

function messageOf(issue: z.core.$ZodIssue, value: unknown): string {
  if (value === undefined) return 'is missing; add it';
  if (value === null) return 'is empty; give it a value, or take the line out';
  const not = `, not ${show(value)}`;
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}${not}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      const meant = typeof value === 'string' ? didYouMean(value, values) : '';
      return `must be ${values.map((each) => JSON.stringify(each)).join(' or ')}${not}${meant}`;
    }
    case 'invalid_format':
      return `${FORMAT_NAMES[issue.format] ?? issue.message}${not}`;
    case 'too_small':
      if (issue.origin === 'array')
        return `needs at least ${issue.minimum} entr${issue.minimum === 1 ? 'y' : 'ies'}`;
      if (issue.origin === 'string') return 'must not be empty';
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${not}`;
    case 'too_big':
      if (issue.origin === 'string') return `must have at most ${issue.maximum} characters${not}`;
      if (issue.origin === 'array') return `must have at most ${issue.maximum} entries`;
      return `must be at most ${issue.maximum}${not}`;
    case 'invalid_union':
      return `is not allowed${not}`;
    default:
      return issue.message;
  }
}

const TYPE_NAMES: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list (lines that begin with "-")',
  object: 'a group of fields',
  record: 'a group of fields',
};

const FORMAT_NAMES: Record<string, string> = {
  ipv4: 'must be an IPv4 address like 10.0.1.20',
  url: 'must be a URL like https://s3.eu-central-1.amazonaws.com',
};

/** A value for a person: short, on one line, and with nothing that a terminal would act on. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a group of fields';
  const text = printable(JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, part)
        ? (value as Record<PropertyKey, unknown>)[part]
        : undefined,
    root,
  );
}

/** Keys that the schema knows at a path. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: unknown = bare(schema);
  for (const part of path) {
    if (at instanceof z.ZodArray) at = bare(at.element);
    else if (at instanceof z.ZodRecord) at = bare(at.valueType);
    else if (at instanceof z.ZodObject) at = bare((at.shape as Record<PropertyKey, unknown>)[part]);
    else return [];
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

/** The schema inside optional, default and transforming wrappers. */
function bare(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return bare(schema.unwrap());
  if (schema instanceof z.ZodPipe) return bare(schema.in);
  // Of the ways to write a value, only one has keys.
  if (schema instanceof z.ZodUnion) return schema.options.map(bare).find((way) => way instanceof z.ZodObject);
  return schema;
}
