import { type CopyResult } from '../copy-result';
import { type HookActivities } from '../hooks/contract';
import {
  type Consistency,
  type DiskConfiguration,
  type PowerState,
  type SnapshotOptions,
  type VmConfiguration,
  type VmSnapshot,
} from '../../hypervisor/port';
import { type ReplicationLimit } from '../../plan/replication-limit';
import { type ReadinessProbe } from '../../plan/schema';
import { type PrimaryVm } from '../../plan/primary-vm';
import { type FenceStanding } from '../../plan/fence';
import { type FenceOrder } from '../../plan/fence-order';
import { type RunContext } from '../../plan/run';
import { type AdaptationReport } from '../../guest/port';
import { type GuestRehearsal } from '../../repository/backups/manifest';
import { type BackedUpVm } from './survivor-check';

/** One finished backup of a VM, and so a recovery point. */
export interface BackupResult {
  vm: string;
  backupId: string;
  /** ISO 8601, UTC: the instant that the disks are of. */
  takenAt: string;
  kind: 'full' | 'incremental';
  /** Absent in results of earlier releases. */
  consistency?: Consistency;
  disks: (CopyResult & { key: string })[];
  /** What an operator should know of it, one sentence each; absent where there is nothing. */
  notes?: string[];
  /** Keys of the disks that the plan leaves out; absent where it leaves none out. */
  excludedDisks?: string[];
  /** Whether its guest can be adapted to the recovery site; absent where that was not tried. */
  guest?: GuestRehearsal;
}

/** What backing up one disk came to. */
export interface DiskBackupResult extends CopyResult {
  /** Built on no earlier backup. */
  full: boolean;
  /** What an operator should know of it, one sentence each; absent where there is nothing. */
  notes?: string[];
}

/** What a survived disk is compared by. */
export interface SurvivorDisk {
  /** The backup that the VM was recovered from. */
  recoveryPoint: string;
  /** The DR copy's snapshot that holds that backup; absent where there is none any more. */
  copySnapshotId?: string;
}

/** What copying to a disk that survived came to, besides; all absent on any other. `blocks` are those that travelled. */
export interface SurvivorCopy {
  /** Blocks of the disk, and of those the ones that are not zero on EC2: what a new disk would have got. */
  comparedBlocks?: number;
  dataBlocks?: number;
  /** Blocks that were made zero, for which nothing travelled. */
  zeroedBlocks?: number;
  /** Why more had to be fetched than what differs; absent where it had not. */
  note?: string;
}

/**
 * The backup proxy's activities: whatever touches the primary site. `primaryVm` is what the hypervisor is asked for; `vm`
 * names the VM everywhere else, in the repository above all.
 */
export interface BackupProxyActivities extends HookActivities {
  /**
   * Holds all disks of the VM at one instant. `backupId` is made of the run, so a retry finds the snapshot.
   * @throws ApplicationFailure SnapshotLost, non-retryable, where what it finds holds nothing any more
   */
  snapshotVm(input: PrimaryVm & SnapshotOptions & { run: RunContext; backupId: string }): Promise<VmSnapshot>;
  /**
   * Reads a disk of the snapshot, stores the blocks that the VM's newest backup does not have, and writes the new
   * block map. Resumes from its recorded progress. Where the hypervisor says what has changed, some of what has not is read
   * all the same; one wrong block, and the whole disk is compared.
   * @throws ApplicationFailure DamagedObject, non-retryable, where the newest backup turns out to be damaged
   * @throws ApplicationFailure SnapshotLost, non-retryable, where the snapshot is there no more
   * @throws ApplicationFailure Abandoned, non-retryable, where collection has given this backup up meanwhile
   */
  backupDisk(
    input: PrimaryVm & {
      run: RunContext;
      backupId: string;
      diskKey: string;
      /** Builds on no earlier backup. */
      full?: boolean;
      /** The plan's; absent where it has none. */
      limit?: ReplicationLimit;
    },
  ): Promise<DiskBackupResult>;
  /**
   * Adapts the snapshot's guest to the recovery site, on scratch disks that are thrown away: so that what a failover would
   * find is known now. Fails on nothing that it finds; the result tells. A young result of an earlier backup stands for it.
   */
  rehearseAdaptation(
    input: PrimaryVm & {
      run: RunContext;
      backupId: string;
      disks: DiskConfiguration[];
    },
  ): Promise<GuestRehearsal>;
  /**
   * Writes the manifest that makes the backup a recovery point, after looking that all objects that it refers to are
   * there. Without it, nothing counts.
   * @throws ApplicationFailure MissingObjects, non-retryable, where they are not
   * @throws ApplicationFailure Abandoned, non-retryable, as above
   */
  finishBackup(input: {
    run: RunContext;
    vm: string;
    backupId: string;
    takenAt: string;
    consistency: Consistency;
    configuration: VmConfiguration;
    /** Absent in runs that began before there were any, as are the change markers. */
    notes?: string[];
    changeMarkers?: Record<string, string>;
    /** Keys of disks that the plan leaves out; absent where it leaves none out. */
    excludeDisks?: string[];
    disks: (DiskBackupResult & { key: string })[];
    guest?: GuestRehearsal;
  }): Promise<BackupResult>;
  /** Gives the hypervisor snapshot up. */
  releaseVmSnapshot(input: PrimaryVm & { backupId: string }): Promise<void>;

  /**
   * Refuses a failback that cannot work, before anything is stopped.
   * @returns `notes`: what an operator should know of it, one sentence each; `survived`: VMs that are there as their last backup
   *   knows them; `setAside`: VMs that are there, and what each is to be called from now on. The latter two are absent where there are none
   * @throws ApplicationFailure PrimarySiteNotReady, non-retryable: what is in the way
   */
  checkPrimarySite(input: {
    run: RunContext;
    /** `configuration`: what the VM had at its last backup; absent in runs that began before it was asked for. */
    vms: (PrimaryVm & BackedUpVm)[];
    /** What is done with VMs that are there: they are brought up to date, or set aside. Absent: they are in the way, as once. */
    survivors?: 'use' | 'replace';
    /** Runs whose VMs will be removed first: they are not in the way, unless they run. */
    unfinishedFailbacks?: string[];
  }): Promise<{ notes: string[]; survived?: string[]; setAside?: { vm: string; aside: string }[] }>;
  /**
   * Holds a VM that survived: from now on it can be given back as it is now. Where another run of the plan holds it still, the VM is
   * given back as it was if that is one of the unfinished failbacks, and else the hold is dropped.
   * @throws ApplicationFailure Fenced, non-retryable, where the run does not hold the plan's state
   * @throws ApplicationFailure PrimarySiteNotReady, non-retryable, where the VM runs, or is held by somebody else
   */
  holdVm(input: PrimaryVm & { run: RunContext; unfinishedFailbacks: string[] }): Promise<void>;
  /** Gives a VM back as it was when this run began to hold it; leaves one that it does not hold alone. */
  revertVm(input: PrimaryVm & { run: RunContext }): Promise<void>;
  /** Holds the VM no more; it stays as it is now. */
  dropVmHold(input: PrimaryVm & { run: RunContext }): Promise<void>;
  /**
   * Gives a VM that is off another name, to make room for the template VM; one that this run has made stays.
   * @throws ApplicationFailure Fenced, non-retryable, where the run does not hold the plan's state
   * @throws ApplicationFailure PrimarySiteNotReady, non-retryable, where it runs
   */
  setVmAside(input: PrimaryVm & { run: RunContext; aside: string }): Promise<void>;
  /** Gives a VM that was set aside its name back; where nothing is set aside, nothing is done. */
  bringVmBack(input: PrimaryVm & { run: RunContext; aside: string }): Promise<void>;
  /** Creates the powered-off template VM, marked as this run's, with nothing but its name and NICs. */
  createTemplateVm(
    input: PrimaryVm & {
      run: RunContext;
      configuration: Omit<VmConfiguration, 'disks'>;
    },
  ): Promise<void>;
  attachDisks(input: PrimaryVm & { run: RunContext; disks: DiskConfiguration[] }): Promise<void>;
  /**
   * Copies a disk's blocks from an EBS snapshot to the powered-off VM's disk: all non-zero blocks, or, with
   * `previousSnapshotId`, those that changed between the two, or, with `survivor`, those in which the disk differs.
   */
  copySnapshotToDisk(
    input: PrimaryVm & {
      run: RunContext;
      disk: DiskConfiguration;
      snapshotId: string;
      previousSnapshotId?: string;
      /** The disk is of a VM that survived, which this run holds: what the disk is compared by. */
      survivor?: SurvivorDisk;
      /** The plan's; absent where it has none. */
      limit?: ReplicationLimit;
    },
  ): Promise<CopyResult & SurvivorCopy>;
  /** Puts the primary site's drivers, network and names back into the VM's boot disk. */
  revertGuest(
    input: PrimaryVm & {
      run: RunContext;
      /** Of its disks, those that came home: one that survived may have disks that are left out of backups. All where it is absent. */
      diskKeys?: string[];
    },
  ): Promise<AdaptationReport>;
  /** Gives the template VM its hardware and starts it. */
  configureAndStartVm(
    input: PrimaryVm & {
      run: RunContext;
      configuration: Omit<VmConfiguration, 'disks'>;
    },
  ): Promise<void>;
  /**
   * Removes a VM that this run created; leaves any other alone.
   * @throws ApplicationFailure PrimarySiteNotReady, non-retryable, where it runs and `unlessRunning`
   */
  removeTemplateVm(input: PrimaryVm & { run: RunContext; unlessRunning?: boolean }): Promise<void>;
  /**
   * Whether these VMs run, in their order.
   * @throws ApplicationFailure PrimarySiteNotReady, non-retryable, where one is not there, or not whole
   */
  readPower(input: {
    vms: PrimaryVm[];
    /** For an undo of a failover, which starts them: none may be what a failback that ended half-way has left. */
    undo?: { plan: string; unfinishedFailbacks: string[] };
  }): Promise<{ power: PowerState[] }>;
  /**
   * Carries the order out that the plan's state has: takes the power from those of the VMs that run. A VM that is not there is none to
   * care for.
   * @returns `standing`: whether there is an order at all; `digest`: the plan's version that the state was entered with; `fence`: the
   *   order before this look; `failed`: those that could not be powered off
   * @throws ApplicationFailure Fenced, non-retryable, where a run has taken the plan's state meanwhile
   */
  fenceVms(input: { run: RunContext; vms: PrimaryVm[] }): Promise<{
    standing: FenceStanding;
    digest: string;
    fence?: FenceOrder;
    poweredOff: string[];
    failed: { vm: string; why: string }[];
  }>;
  /**
   * Stops a VM whose writes are given up: its guest is asked to shut down, and where it does not, its power is taken. One that is off,
   * or not there, needs nothing.
   * @throws ApplicationFailure Fenced, non-retryable, where the run does not hold the plan's state
   */
  stopVm(input: PrimaryVm & { run: RunContext }): Promise<{ how: 'was off' | 'shut down' | 'powered off' }>;
  /**
   * Asks the guest to shut down, and waits until it has; one that is off already stays so.
   * @throws ApplicationFailure Fenced, non-retryable, where a run has taken the plan's state since this one read it
   * @throws ApplicationFailure ShutdownFailed, non-retryable: nobody takes its power away
   */
  shutDownVm(input: PrimaryVm & { run: RunContext }): Promise<void>;
  /**
   * Starts a VM of the primary site that is off.
   * @throws ApplicationFailure Fenced, non-retryable, where the run does not hold the plan's state: the application may run elsewhere
   */
  startVm(input: PrimaryVm & { run: RunContext }): Promise<void>;
  /** Asks from the primary site until the probe answers. @throws ApplicationFailure NotReady with the console's end */
  waitUntilReady(input: PrimaryVm & { address: string; probe: ReadinessProbe }): Promise<{ seconds: number }>;
}
