import { type Asker } from './messages';

/** As long as a person writes, short enough for a table, and on one line. */
export const LINE = /^(?=.*\S)[^\p{Cc}\p{Cs}\u2028\u2029]{1,500}$/u;

const lineOrNone = (value: unknown): string | undefined =>
  typeof value === 'string' && LINE.test(value) ? value : undefined;

/** Who asked for a run, of what its argument says; what is no such line is left out, as a name is no reason to refuse a recovery. */
export function askerOf(argument: unknown): { askedBy?: Asker } {
  if (typeof argument !== 'object' || argument === null || !('askedBy' in argument)) return {};
  const { by, as } = (argument.askedBy ?? {}) as Partial<Record<keyof Asker, unknown>>;
  const named = lineOrNone(by);
  if (named === undefined) return {};
  const known = lineOrNone(as);
  return { askedBy: { by: named, ...(known === undefined ? {} : { as: known }) } };
}

/** Of a decision that somebody sent: as whom AWS knows the one who sent it, where it is told. */
export function awsName({ as }: { as?: string | undefined }): { as?: string } {
  return as === undefined ? {} : { as };
}
