import { type PlanState } from './run';

/** Runs of failbacks that were terminated, or died with their orchestrator: their VMs at home are half of what they should be. The latest first. */
export function unfinishedFailbacksOf(state: PlanState | undefined): string[] {
  if (state === undefined) return [];
  // Whoever was bringing the VMs home has died, as another run asks. An undo makes none.
  const died = state.phase === 'failing-back' && state.undoing === undefined ? [state.runId] : [];
  return [...died, ...(state.unfinishedFailbacks ?? [])];
}
