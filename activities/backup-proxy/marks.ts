import { type RunContext } from '../../plan/run';

const MARK_PREFIX = 'lifeboat:';

/** What a run's VMs at the primary site are marked with, and held under. */
export function markOf({ plan, runId }: Pick<RunContext, 'plan' | 'runId'>): string {
  return `${MARK_PREFIX}${plan}:${runId}`;
}

/** Plan and run of a mark, for people; undefined where it is none of Lifeboat's. */
export function markedRun(mark: string | undefined): string | undefined {
  return mark?.startsWith(MARK_PREFIX) === true ? mark.slice(MARK_PREFIX.length) : undefined;
}

/** Whether a run of the plan has made, or holds, what bears the mark. */
export function isMarkOfPlan(mark: string | undefined, plan: string): boolean {
  return markedRun(mark)?.startsWith(`${plan}:`) === true;
}
