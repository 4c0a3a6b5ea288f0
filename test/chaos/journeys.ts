import { type DrPlan } from '../../plan/schema';
import { GUESTS, type Guest } from './guests';
import { type SeededRandom } from './random';

/** What is done to a plan, in this order, as an administrator would. */
export type Step =
  | 'backup'
  | 'restore'
  | 'change the disks'
  | 'damage the backup'
  | 'restore in vain'
  | 'check'
  | 'test failover'
  | 'lose the data centre'
  | 'lose power in the data centre'
  | 'failover'
  | 'power returns'
  | 'write at the recovery site'
  | 'protect away'
  | 'failback'
  | 'undo the failback'
  | 'commit';

/** How a failover names the recovery points before the newest; see older-points.ts. */
export type Naming = 'at' | 'point';

/** How a launch copy is lost: its snapshots are deleted, or what they are made of is no more what the plan says. */
export type LossKind = 'deleted' | 'outdated';

/** A launch copy that is gone when a failover wants it. */
export interface Loss {
  vm: string;
  kind: LossKind;
  /** Milliseconds after the failover's start; 0 is before it. */
  afterMs: number;
}

/** What a plan says of locks, as it says it. */
export type JourneyLock = NonNullable<DrPlan['replication']['lock']>;

/** One plan's way; everything in it is drawn from the batch's seed. */
export interface Journey {
  plan: string;
  vms: JourneyVm[];
  steps: {
    step: Step;
    cancelAfterMs?: number;
    lose?: Loss;
    older?: Naming;
    /** Those that get their power back. */
    vms?: string[];
  }[];
  /** Whether the plan wants launch copies; see launch-copies.ts. */
  launchCopy?: boolean;
  /** Whether its VMs are launched from an image whose licence AWS bills; see licensed-images.ts. */
  licensed?: boolean;
  /** Whether its VMs at home are left alone while it is away; see power-returns.ts. */
  unfenced?: boolean;
  /** What of it people have to approve; see decisions.ts. */
  asks?: { vms: string[]; beforeTiers: number[]; dns: boolean; cutOver: boolean };
  /** How its DR copies are locked; not at all where absent. See locks.ts. */
  lock?: JourneyLock;
}

export interface JourneyVm {
  name: string;
  guest: Guest;
  /** Of its data disk; none where it has no such disk. */
  dataSectors: number;
  dependsOn: string[];
}

const PROTECT: Step[] = ['backup', 'restore'];
const INCREMENT: Step[] = ['change the disks', 'backup', 'restore'];
const AWAY: Step[] = ['lose the data centre', 'failover', 'write at the recovery site'];
const HOME: Step[] = ['failback', 'commit'];

const WAYS: readonly Step[][] = [
  [...PROTECT, ...INCREMENT],
  [...PROTECT, ...INCREMENT, ...INCREMENT],
  [...PROTECT, 'change the disks', 'backup', 'damage the backup', 'restore in vain', 'test failover'],
  [...PROTECT, 'check', 'test failover'],
  [...PROTECT, ...INCREMENT, 'test failover', ...INCREMENT],
  [...PROTECT, ...AWAY],
  [...PROTECT, ...INCREMENT, ...AWAY, 'check', ...HOME],
  [...PROTECT, ...AWAY, ...HOME],
];

/** Debian's oftener than the others, as a machine is started for each of those, which takes seconds. */
const DRAWN: readonly Guest[] = [...GUESTS, 'debian', 'debian'];

/** Steps that are runs, and so can be cancelled. */
const CANCELLABLE: readonly Step[] = ['backup', 'restore', 'test failover', 'failover', 'failback'];
const CANCELLED_SHARE = 0.15;
/** A step takes some seconds where nothing goes wrong. */
const CANCEL_WITHIN_MS = 6000;

export function drawJourney(random: SeededRandom, plan: string): Journey {
  const count = random.whole(1, 2);
  const names = Array.from({ length: count }, (_, n) => `${plan}-${'ab'[n]}`);
  return {
    plan,
    vms: names.map((name, n) => ({
      name,
      guest: random.pick(DRAWN),
      // 1 to 3 MiB, as a rule no whole block.
      dataSectors: random.whole(2048, 6144),
      dependsOn: n > 0 && random.chance(0.5) ? [names[0] ?? ''] : [],
    })),
    steps: random.pick(WAYS).map((step) => ({
      step,
      ...(CANCELLABLE.includes(step) && random.chance(CANCELLED_SHARE)
        ? { cancelAfterMs: random.whole(200, CANCEL_WITHIN_MS) }
        : {}),
    })),
  };
}
