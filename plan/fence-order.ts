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
