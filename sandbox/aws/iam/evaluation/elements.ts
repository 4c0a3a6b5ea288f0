import { type OneOrMore } from '../policy-document';
import { PolicyError } from './policy-error';

/** One or several values of an element as a list. @throws PolicyError where there is none */
export function listOf<T>(values: OneOrMore<T> | undefined, element: string): readonly T[] {
  const list = Array.isArray(values) ? (values as readonly T[]) : [values as T];
  if (list.length === 0 || list.some((value) => value === undefined || value === null || value === ''))
    throw new PolicyError(`${element} has no value.`);
  return list;
}
