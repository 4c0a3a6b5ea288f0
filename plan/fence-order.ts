import { type PlanState } from './run';

/**
 * The order to keep the plan's VMs off at the primary site while their successors serve. It is part of the plan's state, so that
 * any orchestrator finds it, and ends with the plan's return.
 */
export interface FenceOrder {
  /** `stopped`: by a person. */
  order: 'open' | 'stopped';
  /** ISO 8601, UTC: when it was given, or stopped. */
  since: string;
  /** ISO 8601, UTC: when a backup proxy carried it out for the first time; absent while the data centre has not answered. */
  answeredAt?: string;
  /** VMs whose power was taken. */
  vms?: FencedVm[];
}

export interface FencedVm {
  vm: string;
  /** How often: somebody, or the hypervisor, may start it again. */
  times: number;
  /** ISO 8601, UTC: the last time. */
  lastAt: string;
}

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
