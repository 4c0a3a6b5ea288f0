import { z } from 'zod';
import { type FenceOrder } from '../../plan/fence-order';
import { type ChosenLine, type Lines, linesAfter } from '../../plan/lines';
import { type PlanPhase, type PlanState, type Undone } from '../../plan/run';
import { unfinishedFailbacksOf } from '../../plan/unfinished-failbacks';

/** What a plan's state says beside its phase, and that goes from run to run: {@link leaving} and {@link arriving}. */

/** Of a taking. */
export interface Taken {
  undoing?: Undone;
  /** Of a failover to chosen recovery points: what it goes on from. */
  chosen?: ChosenLine;
}

/** Of a move. */
export interface Moved {
  /** Leaves the order to keep the VMs off at home; one that was left before stays as it is, also where a person has stopped it. */
  fence?: boolean;
  /** ISO 8601, UTC: when the recovery site stopped to serve. */
  homeSince?: string;
  /** VMs that a failover left out; those that are known of stay so until the plan is protected again. */
  without?: readonly string[];
}

/** Phases on the way home, until which it counts which VMs a failover left out. */
const HOMECOMING: readonly PlanPhase[] = ['failing-back', 'failed-back'];

const RUNS_REMEMBERED = 50;
/** More VMs than any plan has. */
const FENCED_VMS = 10_000;

const fence: z.ZodType<FenceOrder> = z.object({
  order: z.enum(['open', 'stopped']),
  since: z.iso.datetime(),
  answeredAt: z.iso.datetime().optional(),
  vms: z
    .array(z.object({ vm: z.string().min(1), times: z.int().positive(), lastAt: z.iso.datetime() }))
    .max(FENCED_VMS)
    .optional(),
});

export const travellingFields = {
  fence: fence.optional(),
  undoing: z.enum(['failover', 'failback']).optional(),
  homeSince: z.iso.datetime().optional(),
  unfinishedFailbacks: z.array(z.string().min(1)).max(RUNS_REMEMBERED).optional(),
  without: z.array(z.string().min(1)).optional(),
  chosen: z
    .object({
      at: z.string().optional(),
      point: z.string().optional(),
      after: z.iso.datetime(),
      undone: z.literal(true).optional(),
    })
    .optional(),
  turnedAway: z.array(z.object({ after: z.iso.datetime(), until: z.iso.datetime() })).optional(),
};

type Travelling = Pick<
  PlanState,
  'fence' | 'undoing' | 'homeSince' | 'unfinishedFailbacks' | 'without' | keyof Lines
>;

/** What a run that takes the state finds in it. @param before undefined where there was none */
export function leaving(
  before: PlanState | undefined,
  to: PlanPhase,
  { undoing, chosen }: Taken,
  now = new Date(),
): Travelling {
  // Another failover goes on from what it is asked for, whatever one that has died was.
  const asked = to === 'failing-over' ? { chosen } : {};
  const lines = linesAfter({ phase: 'none', ...before, ...asked }, to, now);
  if (before === undefined || to === 'protected') return lines;
  const { fence, homeSince, without } = before;
  const unfinished = unfinishedFailbacksOf(before).slice(0, RUNS_REMEMBERED);
  return {
    ...lines,
    ...(fence === undefined ? {} : { fence }),
    ...(undoing === undefined ? {} : { undoing }),
    ...(homeSince === undefined ? {} : { homeSince }),
    ...(unfinished.length === 0 ? {} : { unfinishedFailbacks: unfinished }),
    // A failover begins anew.
    ...(without === undefined || !HOMECOMING.includes(to) ? {} : { without }),
  };
}

/** The state of a run that has come to another phase. @param at ISO 8601, UTC */
export function arriving(before: PlanState, to: PlanPhase, moved: Moved, at: string): PlanState {
  const {
    undoing: _,
    chosen: __,
    turnedAway: ___,
    fence,
    homeSince,
    unfinishedFailbacks,
    without,
    ...state
  } = before;
  const arrived = { ...state, ...linesAfter(before, to, new Date(at)), phase: to, updatedAt: at };
  if (to === 'protected') return arrived;
  const order = fence ?? (moved.fence === true ? { order: 'open' as const, since: at } : undefined);
  const since = to === 'failed-over' ? undefined : (moved.homeSince ?? homeSince);
  const left = moved.without ?? without ?? [];
  return {
    ...arrived,
    ...(left.length === 0 ? {} : { without: [...left] }),
    ...(order === undefined ? {} : { fence: order }),
    ...(since === undefined ? {} : { homeSince: since }),
    // All VMs are at home by now, under their names.
    ...(to === 'failed-back' || unfinishedFailbacks === undefined ? {} : { unfinishedFailbacks }),
  };
}
