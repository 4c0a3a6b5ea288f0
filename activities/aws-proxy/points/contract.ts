import { type ChosenLine, type ChosenPoint, type PointChoice } from '../../../plan/lines';
import { type RunContext } from '../../../plan/run';
import { type DrCopy } from '../account/contract';
import { type RestorePlan } from '../restore/contract';

/** What a failover to chosen recovery points goes on from. */
export interface ChosenPoints {
  /** One a VM, in the order of the VMs that were asked for. */
  points: ChosenPoint[];
  line: ChosenLine;
}

/**
 * Activities that bring other recovery points than the DR copies' up: each as snapshots of the run's own, which hold what a DR
 * copy of that backup would. They are children of the present DR copy's snapshots, and nobody's parents.
 */
export interface PointActivities {
  /**
   * Finds the recovery points that are meant. Backups that people have turned away from are passed over, unless one is named.
   * @throws ApplicationFailure NoSuchPoint, non-retryable, which names the nearest there are
   */
  choosePoints(input: {
    run: Omit<RunContext, 'generation'>;
    vms: string[];
    choice: PointChoice;
  }): Promise<ChosenPoints>;
  /**
   * Compares the backup with the present DR copy, and pins both until the copy is finished or discarded.
   * @throws ApplicationFailure BackupRetired, non-retryable, where retention has taken it out of use since it was chosen
   */
  planPointCopy(input: {
    run: RunContext;
    vm: string;
    recoveryPoint: string;
    kmsKey?: string;
  }): Promise<RestorePlan>;
  /**
   * What the run is to boot, after checking that all of its snapshots are completed and what they should be. Gives the pins up:
   * the snapshots' tags hold the backup.
   * @throws ApplicationFailure DrCopyMismatch, non-retryable
   */
  finishPointCopy(input: {
    run: RunContext;
    vm: string;
    restore: RestorePlan;
    snapshots: { diskKey: string; snapshotId: string }[];
  }): Promise<DrCopy>;
  /** Deletes what the run has made of the VM's point, and gives its pins up. */
  discardPointCopy(input: { run: RunContext; vm: string }): Promise<{ deleted: string[] }>;
}
