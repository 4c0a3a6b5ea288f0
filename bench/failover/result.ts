import { type Machine } from '../machine';
import { type StateTimes } from './account';
import { type MeasuredFailover } from './fail-over';

/** A failover against what AWS alone would make of it. */
export interface JudgedFailover extends MeasuredFailover {
  tiers: number[];
  /** Least seconds by AWS's limits and times: of the way and its tiers, or of one bucket where that takes longer. */
  boundSeconds: number;
  slowestBucket: { name: string; seconds: number };
  ratio: number;
  /** Calls a VM that change something, by name: those that its boot waits for, and the rest. */
  mutatingCallsAVm: { onThePath: Record<string, number>; beside: Record<string, number> };
  callsAVm: number;
  refused: number;
  /** Of the measured processes together, each at its own peak. */
  peakMiB: number;
  /** Of them the control worker and Temporal, which {@link MEMORY_TARGET_MIB} is of. */
  controlAndServerMiB: number;
}

/** What control worker and Temporal should need at most together, however many VMs there are. */
export const MEMORY_TARGET_MIB = 600;

/** What `--json` prints as its last line. */
export interface FailoverResult {
  name: 'failover';
  launchCopies: JudgedFailover;
  /** Two VMs, the second depending on the first, by launch copies. */
  chain: JudgedFailover;
  /** The way without launch copies, and what it would come to for as many VMs: its ratio times their bound. */
  volumes: (JudgedFailover & { extrapolated: { vms: number; boundSeconds: number; seconds: number } }) | null;
  times: StateTimes;
  machine: Machine;
}
