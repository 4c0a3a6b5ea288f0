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
  /** What a person has to approve before the run goes on there, the longest wait first; absent where nothing is. */
  awaited?: AwaitedApproval[];
  /** Who holds the run, and why; absent where nobody does. */
  paused?: Decision;
  /** The run is a test that is ready, and stays up; absent otherwise. Times are ISO 8601, UTC. */
  kept?: { since: string; until: string };
  vms: VmStatus[];
}

/** Who asks for something. The run cannot prove it: it is what the command says that asks. docs/security.md has who can. */
export interface Asker {
  /** A name: the user and host that the command runs as, or what it was given by `--by`. */
  by: string;
  /** ARN by which AWS knows the command's credentials, as AWS told the command (STS GetCallerIdentity); absent where it did not. */
  as?: string;
}

/** What a person has decided. All of it is as that person has said it. */
export interface Decision extends Asker {
  why: string;
  /** ISO 8601, UTC. */
  at: string;
}

/** What waits for somebody's approval. */
export interface AwaitedApproval {
  /** In words, such as "DNS" or "VM db". */
  gate: string;
  /** What of an `approve` names it. */
  answer: Gate;
  /** What happens when it is approved, such as "move DNS to the recovery site". */
  what: string;
  /** ISO 8601, UTC. */
  since: string;
}

/** An approval that was given. */
export interface Approval extends Decision {
  gate: string;
  /** ISO 8601, UTC: since when it waited for it. */
  since: string;
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
/** Phase of a run of which something waits for an approval; see {@link AwaitedApproval}. */
export const AWAITS_APPROVAL = 'waiting for approval';
/** Phase of a run that somebody holds. */
export const PAUSED = 'paused';
/** Phase of a test that is ready, and stays up. */
export const KEPT = 'kept';
/** Phase that follows {@link NEEDS_ATTENTION}. */
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

/** What needs an approval: a VM, a tier of the start order, DNS, or the stop of a failback's instances. */
export type Gate = { vm: string } | { tier: number } | { dns: true } | { cutOver: true };

/** Who decides, and why. */
export interface Deciding extends Asker {
  why: string;
}

/** With none of the four, the one gate that waits. */
export interface ApproveRequest extends Deciding {
  vm?: string;
  tier?: number;
  dns?: boolean;
  cutOver?: boolean;
}

/** From a person to the run: what waits for an approval goes on. Refused where nothing waits, or not that. */
export const approveUpdate = defineUpdate<{ gate: string }, [ApproveRequest]>('approve');

/** From a person to the run: no further VM boots, and DNS does not move, until `resume`. Answers with what goes on meanwhile. */
export const pauseUpdate = defineUpdate<{ underWay: string[] }, [Deciding]>('pause');
export const resumeUpdate = defineUpdate<void, [Deciding]>('resume');

/** A VM that is given up, and what becomes of those that depend on it. */
export interface SkipRequest extends Deciding {
  vm: string;
  /** Needed where there are any that do not run yet: `skip` gives them up, too, `start` lets them start without it. */
  dependents?: 'skip' | 'start';
}

/** From a person to a failover: the VM is given up, and what was made for it is removed. */
export const skipUpdate = defineUpdate<{ skipped: string[]; startWithout: string[] }, [SkipRequest]>('skip');

/** From a person to a test that is kept: it is removed now. Refused where it is not ready, or is going already. */
export const endTestUpdate = defineUpdate<{ since: string }, [Deciding]>('endTest');

/** What cancelling a run would take back, as far as the run knows. */
export interface CancelPreview {
  /** In the order in which it would be; empty where nothing is taken back (any more). */
  takesBack: string[];
}

export const whatCancelTakesBackQuery = defineQuery<CancelPreview>('whatCancelTakesBack');

/** What a VM is told when its turn comes. */
export interface DependenciesReady {
  /** VMs that it depends on, and that are left out of the run. */
  without: string[];
}

/** From a failover to a VM's child workflow: all VMs that it depends on are ready, or left out, so it may boot. */
export const dependenciesReadySignal = defineSignal<[DependenciesReady?]>('dependenciesReady');

/** From a failback to a VM's child workflow: it may go on past a point where the VMs wait for each other. */
export const openGateSignal = defineSignal<[FailbackGate]>('openGate');
export type FailbackGate = 'cutOver' | 'copyChanges' | 'start';

/** Search attributes; the workers register them before they poll, as an unregistered one hangs the run. */
export const planAttribute = defineSearchAttributeKey('LifeboatPlan', SearchAttributeType.KEYWORD);
export const phaseAttribute = defineSearchAttributeKey('LifeboatPhase', SearchAttributeType.KEYWORD);
/** Of checks: the verdict. */
export const readinessAttribute = defineSearchAttributeKey('LifeboatReadiness', SearchAttributeType.KEYWORD);
