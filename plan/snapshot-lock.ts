import { z } from 'zod';
import { duration } from './duration';
import { type PlanProblem } from './plan-error';

/**
 * Locks on DR copies (EC2's LockSnapshot): once in `every`, the DR copy that is there stays for `keep`, whoever wants to delete it.
 * It outlives its replacement by a newer one, and is an older recovery point then.
 */
export const snapshotLock = z
  .object({
    /** Of each such stretch of time, counted from 1970 on in UTC, one DR copy of each VM is locked. */
    every: duration.default(86_400),
    /** How long a lock lasts: whole days, as EC2 has no other. */
    keep: duration.default(7 * 86_400),
    /** `governance`: whom IAM allows ec2:UnlockSnapshot may unlock it. `compliance`: nobody may, once the cool-off is over. */
    mode: z.enum(['governance', 'compliance']).default('governance'),
    /** Of compliance, and has to be said there: how long it can still be unlocked, 1 to 72 hours, or `none`. */
    coolOff: z.union([duration, z.literal('none')]).optional(),
  })
  .strict();

/** Durations are in seconds. */
export type SnapshotLock = z.output<typeof snapshotLock>;

const HOUR = 3600;
const DAY = 86_400;
/** EC2 API Reference, LockSnapshot, CoolOffPeriod: "Min 1, max 72". */
const MOST_COOL_OFF = 72 * HOUR;
/** EC2 would lock for a hundred years; more than one is a slip of the keyboard, and cannot be taken back. */
const LONGEST = 366 * DAY;

/** What the schema cannot see. @param path of the lock in the plan */
export function* checkSnapshotLock(
  lock: SnapshotLock | undefined,
  path: readonly PropertyKey[],
): Generator<PlanProblem> {
  if (lock === undefined) return;
  const { every, keep, mode, coolOff } = lock;
  const problem = (field: keyof SnapshotLock, message: string): PlanProblem => ({
    path: [...path, field],
    message,
  });
  if (every < HOUR) yield problem('every', 'must be at least 1h: each locked DR copy stays for days');
  if (keep % DAY !== 0 || keep < DAY) yield problem('keep', 'must be whole days, like 7d');
  else if (keep > LONGEST) yield problem('keep', 'must be at most 366d');
  else if (keep < every)
    yield problem('keep', 'must be at least "every", or there are times at which no DR copy is locked');
  if (mode === 'governance') {
    if (coolOff !== undefined)
      yield problem(
        'coolOff',
        'is of "mode: compliance" only; whoever may can undo a governance lock at any time',
      );
  } else if (coolOff === undefined)
    yield problem(
      'coolOff',
      'is missing, and compliance mode has to say it: once the cool-off is over, nobody can unlock the snapshots before "keep" is, and they cost until then; ' +
        'write how long they can still be unlocked ("coolOff: 24h", from 1h to 72h) or "coolOff: none", or take "mode: governance"',
    );
  else if (coolOff !== 'none' && (coolOff % HOUR !== 0 || coolOff < HOUR || coolOff > MOST_COOL_OFF))
    yield problem('coolOff', 'must be whole hours from 1h to 72h, or "none"');
}

/**
 * The stretch of time, by its number, of which one DR copy is locked. Not the time since the last lock: a daily round that
 * comes a second earlier than yesterday's would lock nothing.
 */
export const lockPeriod = ({ every }: Pick<SnapshotLock, 'every'>, at: Date): number =>
  Math.floor(at.getTime() / 1000 / every);
