import { LONGEST_TEXT } from '../../../repository/evidence/document';
import { withoutSecrets } from '../../failures';

/** What a history holds is of workers of any release: each value is looked at before it is used. */

/** What is at the path; undefined where something else is. */
export function valueAt(value: unknown, ...path: string[]): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

export function textAt(value: unknown, ...path: string[]): string | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

export function numberAt(value: unknown, ...path: string[]): number | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}

export function listAt(value: unknown, ...path: string[]): unknown[] {
  const found = valueAt(value, ...path);
  return Array.isArray(found) ? (found as unknown[]) : [];
}

/** The texts of a list; others are left out. */
export const textsAt = (value: unknown, ...path: string[]): string[] =>
  listAt(value, ...path).flatMap((one) => (typeof one === 'string' ? [told(one)] : []));

/** ISO 8601, UTC, or undefined where it is no time. */
export function timeAt(value: unknown, ...path: string[]): string | undefined {
  const found = textAt(value, ...path);
  if (found === undefined || Number.isNaN(Date.parse(found))) return undefined;
  return new Date(found).toISOString();
}

/** From here on an error tells what a guest wrote to its console, which may be anything that the guest knows. */
const GUESTS_WORDS = /\s*The console's end:[\s\S]*/;

/** A text as it may be kept: no secret that can be told by its form, nothing of a guest's console, no control characters. */
export function told(text: string): string {
  const clean = withoutSecrets(
    text
      .replace(GUESTS_WORDS, " The console's end is not repeated here.")
      .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, '$1…@')
      .replace(/\b(authorization["']?\s*[:=]\s*["']?)[^\r\n"',;]+/gi, '$1…')
      // eslint-disable-next-line no-control-regex -- that is what is taken out
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' '),
  );
  return clean.slice(0, LONGEST_TEXT);
}

export const toldOrNull = (text: string | undefined): string | null =>
  text === undefined ? null : told(text);
