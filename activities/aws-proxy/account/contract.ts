import { type DiskConfiguration, type VmConfiguration } from '../../../hypervisor/port';
import { type RunContext } from '../../../plan/run';

/** What several stages of a recovery speak of. */

/** One disk of a DR copy: a snapshot, and what of it is not in its bytes. */
export interface DrCopyDisk extends DiskConfiguration {
  snapshotId: string;
  /** EBS sizes are whole GiB. */
  volumeGiB: number;
}

/** A VM's DR copy: all its disks at one recovery point, complete and verified. */
export interface DrCopy {
  vm: string;
  /** The backup that it holds. */
  recoveryPoint: string;
  /** ISO 8601, UTC: the instant that the disks are of. */
  takenAt: string;
  configuration: VmConfiguration;
  disks: DrCopyDisk[];
  /** What the VM is launched by at once; absent where it has none, or one of another plan or recovery point. */
  launchCopy?: LaunchCopy;
  /** What an operator should know of the backup, one sentence each; absent where there is nothing. */
  notes?: string[];
}

/** The guest of a DR copy, adapted to EC2 beforehand. */
export interface LaunchCopy {
  /** Children of the DR copy's snapshots, of those disks that the adaptation changed: the boot disk, and seldom others. */
  snapshots: { diskKey: string; snapshotId: string }[];
}

/** Names a VM's piece of a run for tags and client tokens; falling back to another type or AZ is a new attempt. */
export interface Attempt {
  run: RunContext;
  vm: string;
  attempt: number;
}

/** A kept test whose time was over, and what of it was removed. */
export interface OverdueTest {
  runId: string;
  /** ISO 8601, UTC. */
  until: string;
  removed: string[];
}
