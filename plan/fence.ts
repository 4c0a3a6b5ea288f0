import { type PlanState } from './run';

/** `open`: VMs are powered off. `paused`: on the way home, or there, they must run. `over`: there is no order, or a person stopped it. */
export type FenceStanding = 'open' | 'paused' | 'over';

/** What the order means in the phase that the plan is in. */
export function fenceStanding(state: Pick<PlanState, 'phase' | 'fence'> | undefined): FenceStanding {
  if (state?.fence?.order !== 'open') return 'over';
  switch (state.phase) {
    case 'failed-over':
      return 'open';
    // A failover that was taken over, a failback, an undo: each ends in another phase.
    case 'failing-over':
    case 'failing-back':
    case 'failed-back':
      return 'paused';
    case 'protected':
      return 'over';
  }
}

/** Whether a failover of the plan leaves the order: also where the plan does not say, as two copies of an application harm more than none. */
export function wantsFence({ primarySite }: { primarySite: { fence?: 'powerOff' | 'none' } }): boolean {
  return primarySite.fence !== 'none';
}
