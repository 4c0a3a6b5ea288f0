import { type DiskConfiguration, type Firmware, type VmConfiguration } from '../../../hypervisor/port';
import { type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';

/** The recovery site's side of failback: what runs there, and its disks as they are at one instant. */
export interface FailbackActivities {
  /** The instances that a failover left, with their configuration as EC2 has it, and exact disk sizes from tags. */
  readInstances(input: { run: RunContext; plan: DrPlan }): Promise<
    {
      vm: string;
      instanceId: string;
      instanceType: string;
      cpus: number;
      memoryMiB: number;
      firmware: Firmware;
      /** The NICs and guest OS that the VM had at the primary site, from its last backup. */
      original: Omit<VmConfiguration, 'disks'>;
      disks: (DiskConfiguration & { volumeId: string })[];
      /** ISO 8601, UTC: when the first of its disks was made of the DR copy; absent in what a worker of an earlier release answers. */
      recoveredAt?: string;
      /** What an operator should know of that backup; absent where there is nothing. */
      notes?: string[];
    }[]
  >;
  /**
   * CreateSnapshots: all volumes of the instance at one instant; waits until completed. Pass 1 is taken while the
   * instance serves, pass 2 after it was stopped.
   */
  snapshotInstance(input: {
    run: RunContext;
    vm: string;
    instanceId: string;
    pass: 1 | 2;
  }): Promise<{ diskKey: string; snapshotId: string }[]>;
  /** @throws ApplicationFailure DataBeyondDisk, non-retryable: the snapshot holds data past the disk's exact size */
  checkDiskFits(input: { vm: string; snapshotId: string; disk: DiskConfiguration }): Promise<void>;
  /** Deletes the failback snapshots of the run, of one VM or of all. */
  deleteFailbackSnapshots(input: { run: RunContext; vm?: string }): Promise<{ deleted: string[] }>;
}
