import { type RunContext } from '../../plan/run';

/** What a run's VMs are marked with at the primary site. Names of plans have no colon. */
const MARK_PREFIX = 'lifeboat:';

export function markOf({ plan, runId }: Pick<RunContext, 'plan' | 'runId'>): string {
  return `${MARK_PREFIX}${plan}:${runId}`;
}

/** The plan and the run that a mark names, for people: `shop:RUN`. @returns undefined where it is none of Lifeboat's */
export function markedBy(mark: string | undefined): string | undefined {
  return mark?.startsWith(MARK_PREFIX) === true ? mark.slice(MARK_PREFIX.length) : undefined;
}

/** Whether a VM with this mark may be the plan's: one that Lifeboat made for another plan is not. */
export function isMarkOfPlan(mark: string | undefined, plan: string): boolean {
  const by = markedBy(mark);
  return by === undefined || by.startsWith(`${plan}:`);
}

/** Whether a run of the plan has marked the VM. */
export const isOwnMark = (mark: string | undefined, plan: string): boolean =>
  markedBy(mark) !== undefined && isMarkOfPlan(mark, plan);

/** What these runs of a plan mark with. */
export const marksOf = (plan: string, runIds: readonly string[]): ReadonlySet<string> =>
  new Set(runIds.map((runId) => markOf({ plan, runId })));
