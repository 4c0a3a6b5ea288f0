import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** What a run is doing, for the CLI and for people: one row a VM. */
export interface RunStatus {
  /** The run's own phase, such as "moving DNS". */
  phase: string;
  /** What a person has to mend before the run's own step can go on; VMs tell theirs in their `detail`. */
  problem?: string;
  /** An activity of the run's own keeps failing and is tried again. */
  trouble?: string;
  /** Something waits for a person to mend what failed, and to send a retry. */
  needsAttention: boolean;
  vms: VmStatus[];
}

export interface VmStatus {
  vm: string;
  /** Such as "booting". */
  phase: string;
  /** Such as the instance's id and type. */
  detail: string;
  /** An activity that keeps failing and is tried again. */
  trouble?: string;
  /** ISO 8601, UTC: when the phase began. */
  since: string;
}

/** What a run is doing right now. */
export const statusQuery = defineQuery<RunStatus>('status');

/** From a VM's child workflow to the run: the VM entered a phase. */
export const vmPhaseSignal = defineSignal<[Pick<VmStatus, 'vm' | 'phase' | 'detail'>]>('vmPhase');

/** From a worker to the run: an activity (of the VM's child workflow) failed several times, and is tried again. */
export const troubleSignal = defineSignal<[{ vm?: string; text: string }]>('trouble');

/** Phase of a VM, or of a run, in which it waits for a person to mend what failed, and to send a retry. */
export const NEEDS_ATTENTION = 'needs attention';
/** Phase that follows it. */
export const TRYING_AGAIN = 'trying again';

/** What is tried again. */
export interface RetryRequest {
  /** The VM; all that wait, and the run's own step, where it is absent. */
  vm?: string;
  /** Other instance types for that VM, in order of preference, instead of the plan's. */
  instanceTypes?: string[];
}

/**
 * From a person, who has mended what was wrong, to the run. Answers with the names of the VMs that go on.
 * Refused where nothing waits, or not that VM.
 */
export const retryUpdate = defineUpdate<{ vms: string[] }, [RetryRequest]>('retry');

/** From the run to a VM's child workflow: its step is tried again. */
export const retrySignal = defineSignal<[RetryRequest]>('retryStep');

/** From a failover to a VM's child workflow: all VMs that it depends on are ready, so it may boot. */
export const dependenciesReadySignal = defineSignal('dependenciesReady');

/** From a failback to a VM's child workflow: it may go on past a point where the VMs wait for each other. */
export const openGateSignal = defineSignal<[FailbackGate]>('openGate');
export type FailbackGate = 'cutOver' | 'copyChanges' | 'start';

/** Search attributes; the workers register them before they poll, as an unregistered one hangs the run. */
export const planAttribute = defineSearchAttributeKey('LifeboatPlan', SearchAttributeType.KEYWORD);
export const phaseAttribute = defineSearchAttributeKey('LifeboatPhase', SearchAttributeType.KEYWORD);
/** Of checks: the verdict. */
export const readinessAttribute = defineSearchAttributeKey('LifeboatReadiness', SearchAttributeType.KEYWORD);
