import { type PlanProblem } from './plan-error';

/** A problem for every value that was there before. */
export function* repeated(
  entries: { path: PropertyKey[]; value: string }[],
  message: (value: string) => string,
): Generator<PlanProblem> {
  const seen = new Set<string>();
  for (const { path, value } of entries) {
    if (seen.has(value)) yield { path, message: message(value) };
    seen.add(value);
  }
}
