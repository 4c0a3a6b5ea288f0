import { type AdaptationReport, type HostEntry } from '../../guest/port';
import { type DiskConfiguration, type Firmware, type VmConfiguration } from '../../hypervisor/port';
import {
  type BootScriptReference,
  type DrPlan,
  type PlannedDnsRecord,
  type ReadinessProbe,
} from '../../plan/schema';
import { type RunContext } from '../../plan/run';
import { type Collected } from '../../repository/upkeep/collection';
import { type RetentionPolicy } from '../../repository/upkeep/retention';
import { type CopyResult } from '../backup-proxy/contract';

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
}

/** What a restore has to write for one disk. */
export interface RestoreDisk extends DiskConfiguration {
  volumeGiB: number;
  /** The snapshot of the present DR copy that the new one is a child of; absent for a full copy. */
  parentSnapshotId?: string;
  /** Recovery point that the parent holds. */
  parentRecoveryPoint?: string;
  /** Blocks that differ from the parent (or, without one, are not zero). */
  blocks: number;
}

/** A disk of a restore with what of it is copied as one piece of work each. */
export type PlannedRestoreDisk = RestoreDisk & { extents: Extent[] };

/** A stretch of a disk that is copied as one piece of work: block numbers from `from` up to, and without, `to`. */
export interface Extent {
  from: number;
  to: number;
  /** Blocks in it that are to be written. */
  blocks: number;
}

export interface RestorePlan {
  recoveryPoint: string;
  takenAt: string;
  /** The DR copy holds this recovery point already: nothing to do. */
  upToDate: boolean;
  kind: 'full' | 'incremental';
  /** Why a full copy, in words; absent for an incremental one. */
  reason?: string;
  disks: PlannedRestoreDisk[];
}

/** What a DR copy should hold, for reading it back. */
export interface DrCopyContents {
  recoveryPoint: string;
  /** ISO 8601, UTC. */
  takenAt: string;
  disks: {
    key: string;
    sizeBytes: number;
    snapshotId: string;
    /** SHA-256 (lower-case hex) of the block map that the snapshot was made from. */
    blockMapSha256: string;
  }[];
}

/** What reading one disk of a DR copy back came to. */
export interface VerifiedDisk {
  /** Blocks that were read and compared; all others are zeros on both sides. */
  blocks: number;
  bytes: number;
  seconds: number;
}

/** Names a VM's piece of a run for tags and client tokens; falling back to another type or AZ is a new attempt. */
export interface Attempt {
  run: RunContext;
  vm: string;
  attempt: number;
}

export interface InstanceAddresses {
  privateAddress: string;
  publicAddress?: string;
}

/** An EBS volume made from one disk of a DR copy. */
export interface RecoveredVolume extends DiskConfiguration {
  volumeId: string;
}

/** Value of a Route 53 record set as it was before Lifeboat changed it. */
export interface StoredRecord {
  name: string;
  type: 'A';
  /** Absent where the record did not exist. */
  previous?: { ttl: number; values: string[] };
  /** What Lifeboat set it to. */
  ours: { ttl: number; values: string[] };
}

/** Activities on any AWS proxy. */
export interface AwsProxyActivities {
  // ---- restore
  /**
   * Compares the newest backup with the DR copy, and pins both until the restore has published or discarded its own.
   * @throws ApplicationFailure BackupNotFound, non-retryable
   */
  planRestore(input: { run: RunContext; vm: string; kmsKey?: string }): Promise<RestorePlan>;
  /** StartSnapshot: a pending snapshot, tagged as this run's. */
  startSnapshot(
    input: Attempt & { restore: RestorePlan; disk: RestoreDisk; kmsKey?: string },
  ): Promise<{ snapshotId: string }>;
  /**
   * Writes those of an extent's blocks that differ from the parent into a pending snapshot. Resumes from recorded
   * progress. Extents of a disk may be copied by several workers at once. A snapshot that is completed already is
   * left alone. `blocksBefore` is the number of blocks that the extents before this one have.
   */
  copyExtent(
    input: Attempt & {
      recoveryPoint: string;
      disk: RestoreDisk;
      snapshotId: string;
      extent: Extent;
      blocksBefore: number;
    },
  ): Promise<CopyResult>;
  /**
   * Completes a pending snapshot with the checksum of all that was to be written; EBS refuses where anything else, or
   * less, was. Returns when the snapshot is completed.
   * @throws ApplicationFailure SnapshotFailed, non-retryable: a new attempt is needed
   */
  completeSnapshot(
    input: Attempt & { recoveryPoint: string; disk: RestoreDisk; snapshotId: string },
  ): Promise<void>;
  /**
   * Makes the set of snapshots the VM's DR copy, after checking that it is complete.
   * @throws ApplicationFailure Abandoned, non-retryable, where the restore took so long that its backup may be gone
   */
  publishDrCopy(input: {
    run: RunContext;
    vm: string;
    restore: RestorePlan;
    snapshots: { diskKey: string; snapshotId: string }[];
  }): Promise<DrCopy>;
  /** Deletes the VM's snapshots of replication other than the DR copy `keep`, newer sets excepted. */
  deleteReplacedDrCopies(input: {
    run: RunContext;
    vm: string;
    keep: string;
  }): Promise<{ deleted: string[] }>;
  /** Deletes what this run's restore of the VM has made and not published. */
  discardRestore(input: { run: RunContext; vm: string }): Promise<{ deleted: string[] }>;

  // ---- verification
  /** The VM's DR copy. @throws ApplicationFailure NoDrCopy, non-retryable */
  readDrCopy(input: { run: RunContext; vm: string }): Promise<DrCopyContents>;
  /**
   * Reads a disk of the DR copy back and compares every block with the block map of its recovery point. Resumes.
   * @throws ApplicationFailure DrCopyDamaged, non-retryable, which names the block
   * @throws ApplicationFailure DrCopyReplaced, non-retryable: a restore has deleted the snapshot meanwhile
   */
  verifyDisk(input: {
    run: RunContext;
    vm: string;
    recoveryPoint: string;
    disk: DrCopyContents['disks'][number];
  }): Promise<VerifiedDisk>;

  // ---- retention
  /**
   * Retires the VM's backups that no policy keeps (of this plan, or of any published plan with the VM), and deletes what
   * nothing needs; see repository/upkeep/collection.ts.
   * @throws ApplicationFailure Fenced, non-retryable, where another run has taken the plan's state since
   * @throws ApplicationFailure DamagedObject, non-retryable, where it cannot be told what is needed
   */
  pruneBackups(input: {
    run: RunContext;
    vm: string;
    retention: RetentionPolicy;
    sweep: 'now' | 'when due';
  }): Promise<Collected>;

  // ---- restore, the volume way
  /** CreateVolume from the parent snapshot (or empty) in the AZ of the host; waits until available. */
  createCopyVolume(
    input: Attempt & { disk: RestoreDisk; availabilityZone: string; kmsKey?: string },
  ): Promise<{ volumeId: string }>;
  /** CreateSnapshot of the written volume; waits until completed. */
  snapshotCopyVolume(
    input: Attempt & { restore: RestorePlan; disk: RestoreDisk; volumeId: string },
  ): Promise<{ snapshotId: string }>;
  /** DeleteVolume; succeeds where it is gone. */
  deleteVolume(input: { volumeId: string }): Promise<void>;

  // ---- failover
  /**
   * Everything that can be known beforehand: DR copies, subnets, instance types (offered there, same architecture),
   * security groups, hosted zone. One failure that names all that is wrong.
   * @throws ApplicationFailure NotReadyForFailover, non-retryable
   */
  checkFailover(input: { run: Omit<RunContext, 'generation'>; plan: DrPlan; test: boolean }): Promise<{
    availabilityZone: string;
    drCopies: DrCopy[];
  }>;
  /** CreateVolume from each snapshot of the DR copy; waits until all are available. */
  createVolumes(
    input: Attempt & { drCopy: DrCopy; availabilityZone: string; test: boolean },
  ): Promise<RecoveredVolume[]>;
  /** The bootless image of that firmware; registered once per account and Region, from an empty snapshot. */
  ensureShellImage(input: { run: RunContext; firmware: Firmware }): Promise<{ imageId: string }>;
  /**
   * RunInstances from the shell image, stopped again as soon as it runs (Force, SkipOsShutdown).
   * @throws ApplicationFailure NoCapacity, non-retryable here: the workflow tries the next type
   */
  launchShell(
    input: Attempt & {
      imageId: string;
      instanceType: string;
      subnet: string;
      securityGroups: string[];
      publicAddress: boolean;
      privateAddress?: string;
      recoveryPoint: string;
      test: boolean;
    },
  ): Promise<{ instanceId: string }>;
  /**
   * Replaces the stopped shell's root by the volumes and deletes that root; sets delete-on-termination.
   * @throws ApplicationFailure InstanceGone, or VolumeFailed for a volume that failed or is gone, non-retryable
   */
  attachVolumes(input: {
    run: RunContext;
    vm: string;
    instanceId: string;
    volumes: RecoveredVolume[];
  }): Promise<void>;
  /**
   * StartInstances, then the addresses, which only now are the lasting ones. A stopped instance of another type than
   * `instanceType` is changed to it first (ModifyInstanceAttribute): how the plan's next type is tried.
   * @throws ApplicationFailure NoCapacity, non-retryable here
   * @throws ApplicationFailure InstanceGone, non-retryable
   */
  startInstance(input: {
    run: RunContext;
    vm: string;
    instanceId: string;
    instanceType: string;
  }): Promise<InstanceAddresses>;
  /** Asks from the recovery site until the probe answers. @throws ApplicationFailure NotReady with the console's end */
  waitUntilReady(input: {
    vm: string;
    instanceId: string;
    address: string;
    probe: ReadinessProbe;
  }): Promise<{ seconds: number }>;
  /** Takes one attempt's shell away, of which it is not known whether it came to be, before the next; keeps the volumes. */
  discardShell(input: Attempt): Promise<void>;
  /**
   * Terminates the run's instances of the VM (all VMs without `vm`) and deletes its volumes, network interfaces and
   * snapshots; the DR copy stays. Returns what it removed, after checking that nothing of it is listed any more.
   */
  removeRecoveryResources(input: { run: RunContext; vm?: string }): Promise<{ removed: string[] }>;

  // ---- DNS
  /** Stores the records' present values in the repository bucket, changes them, waits until INSYNC. */
  moveDns(input: {
    run: RunContext;
    hostedZone: string;
    records: (PlannedDnsRecord & { value: string })[];
  }): Promise<StoredRecord[]>;
  /** Puts the stored values back, where the present value is still ours; waits until INSYNC. */
  returnDns(input: {
    run: RunContext;
    hostedZone: string;
  }): Promise<{ returned: StoredRecord[]; leftAlone: StoredRecord[] }>;
  /** Asks each of the zone's name servers. @throws ApplicationFailure DnsMismatch, retryable, until all agree */
  checkDns(input: { hostedZone: string; expected: { name: string; values: string[] }[] }): Promise<void>;

  // ---- failback
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
  /** Graceful stop; waits until stopped. */
  stopInstance(input: { run: RunContext; vm: string; instanceId: string }): Promise<void>;
  /** Deletes the failback snapshots of the run, of one VM or of all. */
  deleteFailbackSnapshots(input: { run: RunContext; vm?: string }): Promise<{ deleted: string[] }>;

  // ---- commit
  /** Removes every instance, volume and failback snapshot of the plan at the recovery site; DR copies stay. */
  removeRecoverySite(input: { run: RunContext }): Promise<{ removed: string[] }>;

  /** The host-bound queue of one proxy, its instance and AZ, for work that must stay on one host. */
  proxyHost(): Promise<{ taskQueue: string; instanceId: string; availabilityZone: string }>;
}

/** Activities bound to one AWS proxy host: a volume is attached to it. */
export interface AwsProxyHostActivities {
  /**
   * Attaches the boot volume to this host, adapts the guest on it, and detaches it again, also on failure.
   * `bootScripts` are fetched from the repository by digest.
   */
  injectDrivers(input: {
    run: RunContext;
    vm: string;
    volumes: RecoveredVolume[];
    bootScripts: BootScriptReference[];
    hosts: HostEntry[];
  }): Promise<AdaptationReport>;
  /** Attaches the volume, writes the blocks that differ from the parent, flushes, detaches. Resumes. */
  copyToVolume(
    input: Attempt & { restore: RestorePlan; disk: RestoreDisk; volumeId: string },
  ): Promise<CopyResult>;
}
