import { defineQuery, defineSignal } from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** What a run is doing, for the CLI and for people: one row a VM. */
export interface RunStatus {
  /** The run's own phase, such as "moving DNS". */
  phase: string;
  vms: VmStatus[];
}

export interface VmStatus {
  vm: string;
  /** Such as "booting". */
  phase: string;
  /** Such as the instance's id and type. */
  detail: string;
  /** ISO 8601, UTC: when the phase began. */
  since: string;
}

/** What a run is doing right now. */
export const statusQuery = defineQuery<RunStatus>('status');

/** From a VM's child workflow to the run: the VM entered a phase. */
export const vmPhaseSignal = defineSignal<[Pick<VmStatus, 'vm' | 'phase' | 'detail'>]>('vmPhase');

/** From a failback to a VM's child workflow: it may go on past a point where the VMs wait for each other. */
export const openGateSignal = defineSignal<[FailbackGate]>('openGate');
export type FailbackGate = 'cutOver' | 'copyChanges' | 'start';

/** Search attributes; the workers register them before they poll, as an unregistered one hangs the run. */
export const planAttribute = defineSearchAttributeKey('LifeboatPlan', SearchAttributeType.KEYWORD);
export const phaseAttribute = defineSearchAttributeKey('LifeboatPhase', SearchAttributeType.KEYWORD);
