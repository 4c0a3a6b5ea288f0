import { type AdaptationReport, type HostEntry } from '../../../guest/port';
import { type DiskConfiguration, type Firmware } from '../../../hypervisor/port';
import { type RunContext } from '../../../plan/run';
import { type BootScriptReference, type ReadinessProbe } from '../../../plan/schema';
import { type VolumesByDisk } from '../../../plan/recovery-site/volume-settings';
import { type Attempt, type DrCopy, type OverdueTest } from '../account/contract';

export interface InstanceAddresses {
  privateAddress: string;
  publicAddress?: string;
  /** Absent where its subnet gives none. */
  ipv6Addresses?: string[];
}

/** Where an instance is launched. */
export interface LaunchSite {
  subnet: string;
  securityGroups: string[];
  publicAddress: boolean;
  /** AWS chooses one where this is absent. */
  privateAddress?: string;
  /** Further ones of the same network card; only beside `privateAddress`. */
  secondaryAddresses?: string[];
  /** Name or ARN; none where absent. */
  instanceProfile?: string;
  /** The plan's own, on all that is made in the launch. */
  tags?: Record<string, string>;
}

/** One launch of a VM's instance, by whichever way. */
export type InstanceLaunch = Attempt &
  LaunchSite & {
    imageId: string;
    instanceType: string;
    test: boolean;
  };

/** A launch in a run that some VMs are left out of. */
export interface Incomplete {
  /** Those that the VM depends on: it finds their names at an address that is nobody's. Absent where all are there. */
  without?: string[];
}

/** Of an instance that gets the VM's disks afterwards. */
export type ShellLaunch = InstanceLaunch & { recoveryPoint: string };

/** A VM's instance that was launched by its launch copy. */
export interface LaunchedInstance extends InstanceAddresses {
  instanceId: string;
  availabilityZone: string;
}

/** An EBS volume made from one disk of a DR copy. */
export interface RecoveredVolume extends DiskConfiguration {
  volumeId: string;
}

/** Boot scripts of a VM whose exit statuses are asked for. */
export interface AwaitedBootScripts {
  vm: string;
  instanceId: string;
  /** Their names in the plan. */
  scripts: string[];
  /** Seconds that they have to end; a look is taken in any case. */
  seconds: number;
}

/** How a boot script has ended, in the guest's own words on its console. */
export interface BootScriptResult {
  name: string;
  /** Exit status; unknown where it was not read in time. */
  status: number | 'unknown';
  /** Why it is unknown. */
  reason?: string;
}

/** A VM that runs, whose console is looked at. */
export interface AwaitedConsole {
  vm: string;
  instanceId: string;
}

/** A status check of EC2 as a whole; its own words (EC2 API Reference, InstanceStatusSummary). */
export type CheckSummary = 'ok' | 'impaired' | 'initializing' | 'insufficient-data' | 'not-applicable';

/**
 * What a VM's console showed, and how its instance's status checks stood: for people, and for those who have to be shown that a
 * failover worked. It is what the guest shows and says of itself.
 */
export interface ConsoleEvidence {
  /** ISO 8601, UTC. */
  takenAt: string;
  /** EC2's system and instance status check; absent where they could not be asked for. */
  statusChecks?: { system: CheckSummary; instance: CheckSummary };
  /** Key of the screen's picture (JPEG) in the backup repository, below its prefix; absent where there is none. */
  screenshot?: string;
  /** Key of the end of what the guest wrote to its serial console; absent where it wrote nothing, or it could not be read. */
  output?: string;
}

/** Console evidence that was kept of a VM. */
export interface KeptEvidence {
  vm: string;
  console: ConsoleEvidence;
  /** What could not be had, and checks that have failed; one sentence each. */
  warnings: string[];
}

/** Activities that make EC2 instances of DR copies, and take them down again. */
export interface LaunchActivities {
  /**
   * CreateVolume from each snapshot of the DR copy; waits until all are available.
   * @param input.byLaunchCopy takes the launch copy's snapshots where it has one: the guest on them is adapted already
   * @throws ApplicationFailure LaunchCopyGone, non-retryable, where it is asked for
   */
  createVolumes(
    input: Attempt & {
      drCopy: DrCopy;
      availabilityZone: string;
      test: boolean;
      byLaunchCopy?: boolean;
      /** Absent where the plan says nothing of any. */
      volumes?: VolumesByDisk;
      /** The plan's own. */
      tags?: Record<string, string>;
    },
  ): Promise<RecoveredVolume[]>;
  /** The bootless image of that firmware; registered once per account and Region, from an empty snapshot. */
  ensureShellImage(input: { run: RunContext; firmware: Firmware }): Promise<{ imageId: string }>;
  /**
   * RunInstances from the shell image, stopped again as soon as it runs (Force, SkipOsShutdown).
   * @throws ApplicationFailure NoCapacity, non-retryable here: the workflow tries the next type
   */
  launchShell(input: ShellLaunch): Promise<{ instanceId: string }>;
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
  /** Graceful stop, or by force where nothing on the instance is to be spared; waits until stopped. */
  stopInstance(input: { run: RunContext; vm: string; instanceId: string; force?: boolean }): Promise<void>;
  /**
   * Asks from the recovery site until the probe answers.
   * @throws ApplicationFailure NotReady with what the status checks say, where the screen's picture is kept, and the console's end
   */
  waitUntilReady(input: {
    /** Absent in runs of earlier releases, of which no picture is kept. */
    run?: RunContext;
    vm: string;
    instanceId: string;
    address: string;
    probe: ReadinessProbe;
  }): Promise<{ seconds: number }>;
  /**
   * Reads the exit statuses of VMs' boot scripts from their instances' consoles, until all are there or their time is up.
   * What cannot be read is unknown, and fails nothing.
   */
  readBootScripts(input: {
    run: RunContext;
    vms: AwaitedBootScripts[];
  }): Promise<{ vm: string; bootScripts: BootScriptResult[] }[]>;
  /**
   * The same of one VM whose boot scripts have to end with 0.
   * @throws ApplicationFailure BootScriptFailed, non-retryable, with the console's end
   */
  requireBootScripts(input: { run: RunContext } & AwaitedBootScripts): Promise<BootScriptResult[]>;
  /**
   * Keeps in the repository what the consoles of VMs that are ready show. What cannot be had is a warning, and fails nothing.
   */
  keepConsoles(input: { run: RunContext; vms: AwaitedConsole[] }): Promise<KeptEvidence[]>;
  /**
   * Takes one attempt's instance away, of which it is not known whether it came to be, before the next. A shell's volumes
   * are kept; those of an instance that was launched by a launch copy go with it.
   */
  discardShell(input: Attempt & { launchedByCopy?: boolean }): Promise<void>;

  // ---- by launch copy
  /**
   * RegisterImage of the launch copy, with the other disks' DR-copy snapshots beside it; the run's and the VM's own.
   * @throws ApplicationFailure LaunchCopyGone, non-retryable: the VM takes the longer way
   */
  registerImage(input: {
    run: RunContext;
    vm: string;
    drCopy: DrCopy;
    volumes?: VolumesByDisk;
  }): Promise<{ imageId: string }>;
  /**
   * RunInstances of that image: the VM boots at once. Its guest learns by user data what differs from run to run; the
   * instances of the VMs that it depends on have to be there. Waits until it runs and has its addresses.
   * @throws ApplicationFailure NoCapacity, non-retryable here: the workflow tries the next type
   * @throws ApplicationFailure LaunchCopyGone, non-retryable
   */
  launchInstance(
    input: InstanceLaunch & { drCopy: DrCopy; volumes?: VolumesByDisk } & Incomplete,
  ): Promise<LaunchedInstance>;
  /** DeregisterImage of all that the run registered for these VMs; what was launched by it runs on. */
  deregisterImages(input: { run: RunContext; vms: string[] }): Promise<void>;

  // ---- from an image whose licence AWS bills
  /**
   * RunInstances from the plan's licensed image. `leave` is how it is left: running for {@link replaceRootVolume}, or stopped by
   * force for {@link attachVolumes}. With `byLaunchCopy`, its guest learns by user data what differs from run
   * to run; the instances of the VMs that it depends on have to be there then.
   * @throws ApplicationFailure NoCapacity, non-retryable here: the workflow tries the next type
   * @throws ApplicationFailure LicensedImageRefused, non-retryable
   */
  launchLicensedShell(
    input: ShellLaunch & { leave: 'running' | 'stopped'; byLaunchCopy: boolean } & Incomplete,
  ): Promise<{ instanceId: string; availabilityZone: string }>;
  /**
   * Replaces the running shell's root by the boot volume (CreateReplaceRootVolumeTask), by which the instance boots from it; the
   * shell's own root is deleted. Sets delete-on-termination.
   * @throws ApplicationFailure RootReplacementFailed, non-retryable: the root can be changed on the stopped instance
   * @throws ApplicationFailure InstanceGone, or VolumeFailed for a volume that failed or is gone, non-retryable
   */
  replaceRootVolume(input: {
    run: RunContext;
    vm: string;
    instanceId: string;
    volumes: RecoveredVolume[];
  }): Promise<void>;

  /**
   * Terminates the run's instances of the VM (all VMs without `vm`) and deletes its volumes, network interfaces and
   * snapshots; the DR copy stays. Returns what it removed, after checking that nothing of it is listed any more.
   */
  removeRecoveryResources(input: { run: RunContext; vm?: string }): Promise<{ removed: string[] }>;
  /**
   * Marks the instances of a test as kept, so that they are known for that, and for how long, where the Temporal server that keeps
   * them is lost.
   * @param input.until ISO 8601, UTC
   */
  keepTest(input: { run: RunContext; until: string }): Promise<{ instances: string[] }>;
  /**
   * Removes what kept tests of the plan have made whose time is over, but not what this run has: their Temporal server is lost, or they
   * are being removed. Nothing that is not marked as a test's.
   */
  removeOverdueTests(input: { run: RunContext }): Promise<OverdueTest[]>;
  /** Removes every instance, volume and failback snapshot of the plan at the recovery site but those of test failovers; DR copies stay. */
  removeRecoverySite(input: { run: RunContext }): Promise<{ removed: string[] }>;
}

/** What of a launch is bound to one AWS proxy: a volume is attached to it. */
export interface LaunchHostActivities {
  /**
   * Attaches the boot volume to this host, adapts the guest on it, and detaches it again, also on failure.
   * `bootScripts` are fetched from the repository by digest. `hosts` are where the guest finds the VMs that it depends
   * on; where they are absent, the run's instances of those VMs are looked up, which have to be there. `test` tells which of
   * the plan's fixed addresses hold; a run of a release that knew none does not say it. `without` as in {@link Incomplete}.
   */
  injectDrivers(input: {
    run: RunContext;
    vm: string;
    volumes: RecoveredVolume[];
    bootScripts: BootScriptReference[];
    hosts?: HostEntry[];
    test?: boolean;
    without?: string[];
  }): Promise<AdaptationReport>;
}
