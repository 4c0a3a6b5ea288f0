import { type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';

/** What protects the application while it runs at the recovery site. */
export interface AwayActivities {
  /** The instances that the plan's newest failover left; and of what VMs there is none, or not one alone, in words. */
  readAwayInstances(input: { run: RunContext; plan: DrPlan }): Promise<{
    instances: { vm: string; instanceId: string }[];
    problems: { vm: string; problem: string }[];
  }>;
  /**
   * CreateSnapshots: all volumes of the instance at one instant, tagged as the VM's away copy; waits until they are completed, and
   * then deletes the copies that it replaces. A copy that another run has made since `since` (ISO 8601, UTC) does as well.
   * @throws ApplicationFailure Fenced, non-retryable, where another run has taken the plan's state
   * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given a snapshot up; the copy of before stays
   */
  makeAwayCopy(input: {
    run: RunContext;
    vm: string;
    instanceId: string;
    since: string;
  }): Promise<AwayCopyResult>;
}

export interface AwayCopyResult {
  vm: string;
  /** ISO 8601, UTC: what was written before is in it. */
  takenAt: string;
  snapshotIds: string[];
}
