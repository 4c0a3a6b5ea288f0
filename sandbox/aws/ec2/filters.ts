import { type Filter } from '@aws-sdk/client-ec2';
import { AwsError } from '../wire/errors';
import { type Tags } from '../state/records';

/** What the filters of a Describe operation look at: filter name → the record's values. */
export type FilterFields<T> = Record<string, (item: T) => (string | number | boolean | Date | undefined)[]>;

/**
 * The items that match all filters: within one filter any value does, and `*` and `?` stand for any characters
 * (EC2 User Guide, "Filter your resources"). @throws AwsError InvalidParameterValue for a filter that is not known
 */
export function filterItems<T>(
  items: T[],
  filters: Filter[] | undefined,
  fields: FilterFields<T>,
  tagsOf?: (item: T) => Tags,
): T[] {
  let left = items;
  for (const filter of filters ?? []) {
    const valuesOf = fieldOf(filter.Name ?? '', fields, tagsOf);
    const patterns = (filter.Values ?? []).map(wildcard);
    left = left.filter((item) =>
      valuesOf(item).some(
        (value) => value !== undefined && patterns.some((pattern) => pattern.test(text(value))),
      ),
    );
  }
  return left;
}

function fieldOf<T>(
  name: string,
  fields: FilterFields<T>,
  tagsOf: ((item: T) => Tags) | undefined,
): FilterFields<T>[string] {
  if (tagsOf !== undefined) {
    if (name === 'tag-key') return (item) => Object.keys(tagsOf(item));
    if (name.startsWith('tag:')) {
      const key = name.slice('tag:'.length);
      return (item) => (Object.hasOwn(tagsOf(item), key) ? [tagsOf(item)[key]] : []);
    }
  }
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field === undefined) throw new AwsError('InvalidParameterValue', `The filter '${name}' is invalid`);
  return field;
}

const text = (value: string | number | boolean | Date): string =>
  value instanceof Date ? value.toISOString() : String(value);

function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/\\?[\s\S]/g, (part) => {
    if (part === '*') return '.*';
    if (part === '?') return '.';
    // A backslash takes the meaning from the character behind it.
    const literal = part.length === 2 ? part.slice(1) : part;
    return literal.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
  return new RegExp(`^${source}$`, 's');
}
