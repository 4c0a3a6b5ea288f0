import { type DiskConfiguration } from '../../../hypervisor/port';
import { type RunContext } from '../../../plan/run';
import { type SnapshotLock } from '../../../plan/snapshot-lock';
import { type Collected } from '../../../repository/upkeep/collection';
import { type RetentionPolicy } from '../../../repository/upkeep/retention';
import { type CopyResult } from '../../copy-result';
import { type Attempt, type DrCopy } from '../account/contract';

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

/** What making a VM's launch copy came to. */
export interface LaunchCopyResult {
  /** `kept` where there is one of today's DR copy and plan already. Without one, a failover goes the longer way. */
  outcome: 'made' | 'kept' | 'not made';
  /** Why it was not made. */
  reason?: string;
  /** 512 KiB blocks that the adaptation changed, and were copied. */
  blocks: number;
  bytes: number;
  seconds: number;
  /** What an operator should know of the guest; one sentence each. */
  warnings: string[];
}

/** What a restore found, or did, of locks. */
export type LockResult =
  | {
      /** `kept` where one was locked in this period already, or the DR copy is, as nothing newer has come. */
      outcome: 'locked' | 'kept';
      /** Of the locked DR copy. */
      recoveryPoint: string;
      /** ISO 8601, UTC. */
      takenAt: string;
      /** ISO 8601, UTC: until then nobody can delete it. */
      until: string;
    }
  | { outcome: 'not locked'; reason: string };

/** Activities that bring a DR copy up to date, prove it, and keep the repository small. */
export interface RestoreActivities {
  /**
   * Compares the newest backup with the DR copy, and pins both until the restore has published or discarded its own.
   * @throws ApplicationFailure BackupNotFound, non-retryable
   */
  planRestore(input: { run: RunContext; vm: string; kmsKey?: string }): Promise<RestorePlan>;
  /**
   * StartSnapshot: a pending snapshot, tagged as this run's.
   * @throws ApplicationFailure ParentGone, non-retryable, of a point's copy, where a restore has replaced the DR copy meanwhile
   */
  startSnapshot(
    input: Attempt & {
      restore: RestorePlan;
      disk: RestoreDisk;
      kmsKey?: string;
      /** What it is for; a restore where this is absent. */
      role?: 'pending-copy' | 'point-copy';
    },
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
  /**
   * Locks the VM's DR copy, which has to hold that recovery point, all of its snapshots, where none was locked in the present
   * period of the plan's `lock`.
   * @throws ApplicationFailure NotPermitted, non-retryable, where the role may not lock
   * @throws ApplicationFailure Fenced, non-retryable, where another run has taken the plan's state since
   */
  lockDrCopy(input: {
    run: RunContext;
    vm: string;
    recoveryPoint: string;
    lock: SnapshotLock;
  }): Promise<LockResult>;
  /**
   * Deletes the VM's snapshots of replication other than the DR copy `keep`, newer sets and locked snapshots excepted. What is
   * locked goes with the first call after its lock has ended.
   */
  deleteReplacedDrCopies(input: {
    run: RunContext;
    vm: string;
    keep: string;
  }): Promise<{ deleted: string[] }>;
  /** Deletes what this run's restore of the VM has made and not published, of a launch copy as well. */
  discardRestore(input: { run: RunContext; vm: string }): Promise<{ deleted: string[] }>;

  /**
   * Makes the launch copy of the VM's DR copy, which has to hold that recovery point, and of the run's plan, where there is none, and deletes any other. A guest that
   * cannot be adapted is an outcome, and no failure.
   */
  makeLaunchCopy(input: { run: RunContext; vm: string; recoveryPoint: string }): Promise<LaunchCopyResult>;

  // ---- the volume way, where EBS direct cannot be used
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
}

/** What of a restore is bound to one AWS proxy: a volume is attached to it. */
export interface RestoreHostActivities {
  /** Attaches the volume, writes the blocks that differ from the parent, flushes, detaches. Resumes. */
  copyToVolume(
    input: Attempt & { restore: RestorePlan; disk: RestoreDisk; volumeId: string },
  ): Promise<CopyResult>;
}
