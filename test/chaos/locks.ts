import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { drawn, type Draw } from './faults';
import { type Journey, type JourneyLock } from './journeys';
import { type SeededRandom } from './random';

/** Share of the plans whose DR copies are locked, unless somebody says another. */
export const LOCKED_SHARE = 0.4;
/** Seconds that the sandbox's endpoint takes for a day of a lock. */
export const LOCK_DAY = 4;

const DAY = 86_400;
/** Days that locks last: some end before the next step, some within the journey, and some never while it lasts. */
const DAYS = [1, 4, 15, 100] as const;
/** Of compliance, which nobody can end before its time. */
const COMPLIANCE_DAYS = [1, 4] as const;
const COMPLIANCE_SHARE = 0.25;

/**
 * Decides whether a plan's DR copies are locked, and for how long. What is drawn here comes from a generator of its own, so that a
 * seed's journeys are otherwise what they were before there were locks.
 */
export function drawLocks(journey: Journey, random: SeededRandom, share: number): Journey {
  if (!random.chance(share)) return journey;
  const compliance = random.chance(COMPLIANCE_SHARE);
  const lock: JourneyLock = {
    // The shortest that a plan may say: while one holds, journeys are over before the next is due.
    every: 3600,
    keep: DAY * random.pick(compliance ? COMPLIANCE_DAYS : DAYS),
    mode: compliance ? 'compliance' : 'governance',
    ...(compliance ? { coolOff: random.pick(['none', DAY] as const) } : {}),
  };
  return { ...journey, lock };
}

/** Of the product's calls only: those of the suite name no snapshots. */
const NAMING_SNAPSHOTS = { operations: ['DescribeLockedSnapshots'], matches: 'SnapshotIds' };

/** What goes wrong where plans have locks, besides the rest. */
const FAULTS: readonly Draw[] = [
  // As a role that may not lock; behind the first, a DR copy of two disks is locked by half.
  (random) => ({
    operations: ['LockSnapshot'],
    skip: random.whole(0, 3),
    times: random.whole(1, 3),
    fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
  }),
  (random) => ({
    operations: ['LockSnapshot'],
    skip: random.whole(0, 2),
    times: random.whole(1, 3),
    fault: { kind: 'error', code: 'InternalError', status: 500, carriedOut: random.chance(0.5) },
  }),
  (random) => ({
    operations: ['LockSnapshot'],
    skip: random.whole(0, 2),
    times: random.whole(1, 3),
    fault: { kind: 'reset', carriedOut: true },
  }),
  (random) => ({
    operations: ['LockSnapshot'],
    fault: { kind: 'throttle', perSecond: random.between(0.5, 2), burst: 1 },
  }),
  (random) => ({
    ...NAMING_SNAPSHOTS,
    skip: random.whole(0, 3),
    times: random.whole(1, 4),
    fault: { kind: 'error', code: 'UnauthorizedOperation', status: 403 },
  }),
  (random) => ({
    ...NAMING_SNAPSHOTS,
    fault: { kind: 'throttle', perSecond: random.whole(1, 3), burst: random.whole(1, 3) },
  }),
  (random) => ({
    ...NAMING_SNAPSHOTS,
    times: random.whole(2, 6),
    fault: { kind: 'slow', milliseconds: random.whole(500, 4000) },
  }),
];

/** Faults of one batch for locks, one to three of them. */
export function drawLockFaults(random: SeededRandom, batch: string): FaultRule[] {
  return drawn(FAULTS, random.whole(1, 3), random, `${batch}-locks`);
}
