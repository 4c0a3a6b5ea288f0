import { z } from 'zod';
import { type FenceOrder } from '../../plan/fence-order';
import { type PlanPhase, type PlanState, type Undone } from '../../plan/run';

/** What a plan's state says beside its phase, and that goes from run to run: {@link leaving} and {@link arriving}. */

/** Of a taking. */
export interface Taken {
  undoing?: Undone;
}

/** Of a move. */
export interface Moved {
  /** Leaves the order to keep the VMs off at home; one that was left before stays as it is, also where a person has stopped it. */
  fence?: boolean;
  /** ISO 8601, UTC: when the recovery site stopped to serve. */
  homeSince?: string;
}

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
};

type Travelling = Pick<PlanState, 'fence' | 'undoing' | 'homeSince' | 'unfinishedFailbacks'>;

/** What a run that takes the state finds in it. @param before undefined where there was none */
export function leaving(before: PlanState | undefined, to: PlanPhase, { undoing }: Taken): Travelling {
  if (before === undefined || to === 'protected') return {};
  const { fence, homeSince } = before;
  // Taken over on its way home: whoever was bringing the VMs there has died. An undo makes none.
  const died = before.phase === 'failing-back' && before.undoing === undefined ? [before.runId] : [];
  const unfinished = [...died, ...(before.unfinishedFailbacks ?? [])].slice(0, RUNS_REMEMBERED);
  return {
    ...(fence === undefined ? {} : { fence }),
    ...(undoing === undefined ? {} : { undoing }),
    ...(homeSince === undefined ? {} : { homeSince }),
    ...(unfinished.length === 0 ? {} : { unfinishedFailbacks: unfinished }),
  };
}

/** The state of a run that has come to another phase. @param at ISO 8601, UTC */
export function arriving(
  { undoing: _, fence, homeSince, unfinishedFailbacks, ...state }: PlanState,
  to: PlanPhase,
  moved: Moved,
  at: string,
): PlanState {
  const arrived = { ...state, phase: to, updatedAt: at };
  if (to === 'protected') return arrived;
  const order = fence ?? (moved.fence === true ? { order: 'open' as const, since: at } : undefined);
  const since = to === 'failed-over' ? undefined : (moved.homeSince ?? homeSince);
  return {
    ...arrived,
    ...(order === undefined ? {} : { fence: order }),
    ...(since === undefined ? {} : { homeSince: since }),
    // All VMs are at home by now, under their names.
    ...(to === 'failed-back' || unfinishedFailbacks === undefined ? {} : { unfinishedFailbacks }),
  };
}
