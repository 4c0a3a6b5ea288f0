/**
 * The primary site's hypervisor, as the backup proxy sees it.
 *
 * Every call is idempotent: creating what exists with the same properties, or removing what is gone, succeeds.
 * A VM is named as the site knows it (`primaryVm` of the plan); which forms there are is the adapter's affair.
 * A disk is handed out as a path on this host (a block device, or a file that behaves like one), so that the
 * copy engine and the guest adapters need to know no disk format.
 */

import { type ControllerKind, type DiskPlace } from '../machines/disk-place';

export type Firmware = 'bios' | 'uefi';

export { type ControllerKind, type ControllerPlace } from '../machines/disk-place';

/**
 * What a snapshot promises of the disks' content. `quiesced`: programs in the guest had written what they meant to;
 * `crash`: as after a power cut; `powered-off`: the VM was off.
 */
export type Consistency = 'crash' | 'powered-off' | 'quiesced';

/** Hardware of a VM, and what travels with its backups. */
export interface VmConfiguration {
  cpus: number;
  memoryMiB: number;
  firmware: Firmware;
  nics: NicConfiguration[];
  guestOs: string;
  /** What people at the primary site call it, where that is not the name that the plan has for it. */
  displayName?: string;
  /**
   * What the site itself tells the VM from all others by, whatever it is called; a copy of a VM has another. Absent where the
   * site has no such thing, and in backups of earlier releases.
   */
  identity?: string;
  /** The controller of disks that name none; `pvscsi` where it is not said. */
  diskController?: ControllerKind;
  disks: DiskConfiguration[];
}

export interface NicConfiguration {
  /** Network of the primary site that the card is on. */
  network: string;
  /** Colon-separated, lower case. */
  mac: string;
}

/** A disk, in its place: on a controller, which is the first one of the VM's kind where it names none. */
export interface DiskConfiguration extends DiskPlace {
  /** Stable through the VM's whole life, its backups and its stay on EC2. Letters, digits and "-". */
  key: string;
  /** Exact size; a multiple of 512, often no whole GiB. */
  sizeBytes: number;
  /** Whether the firmware boots from this disk; true for exactly one. */
  boot: boolean;
}

export type PowerState = 'running' | 'off';

/** A disk opened on this host. */
export interface OpenDisk {
  /** Path that can be read, and written where it was opened so, at any offset. */
  path: string;
  sizeBytes: number;
  /** Flushes to stable storage and gives the path up. */
  close(): Promise<void>;
}

/** A range of a disk, in bytes. */
export interface DiskArea {
  offset: number;
  length: number;
}

/** What is asked of a snapshot besides. */
export interface SnapshotOptions {
  /** `quiesced`: asked of the guest, and a crash-consistent one where the guest cannot; a note tells. `crash` where absent. */
  consistency?: 'crash' | 'quiesced';
  /**
   * Keys of disks to leave out; a note tells each, and each that the VM does not have.
   * @throws VmRefusedError where that leaves none, or leaves out the one to boot from
   */
  excludeDisks?: string[];
}

/** All disks of a VM as they were at one instant, but for those that were to be left out. */
export interface VmSnapshot {
  /** ISO 8601, UTC: not after the instant that the disks are of. */
  takenAt: string;
  consistency: Consistency;
  /** What an operator should know of it, one sentence each: quiescing that failed, a disk that was left out. */
  notes: string[];
  /** The VM's hardware at the snapshot, with the disks that are in it. */
  configuration: VmConfiguration;
  /**
   * By disk key: a mark of this instant in the tracking of the disk's changes, for {@link Hypervisor.changedAreas} of a
   * later snapshot. Only the adapter that made it can read it. A disk without one is compared whole next time.
   */
  changeMarkers: Record<string, string>;
}

export class VmNotFoundError extends Error {
  constructor(readonly vm: string) {
    super(`The primary site has no VM named "${vm}".`);
    this.name = 'VmNotFoundError';
  }
}

export class VmExistsError extends Error {
  constructor(readonly vm: string) {
    super(`The primary site already has a VM named "${vm}".`);
    this.name = 'VmExistsError';
  }
}

/** What is to be looked at before work begins: a VM that is to be backed up, or all that come home. */
export type SiteQuestion =
  | { purpose: 'backup'; vm: string; excludeDisks?: string[] }
  | { purpose: 'failback'; vms: { vm: string; configuration: Omit<VmConfiguration, 'disks'> }[] };

/** What was found, a sentence or two each: `problems` keep the work from being done, `notes` an operator should know. */
export interface SiteFindings {
  problems: string[];
  notes: string[];
}

/** A VM that cannot be what it is asked to be, or cannot be backed up as it is, however often it is tried. */
export class VmRefusedError extends Error {
  /** @param message what stands against it, and what to do */
  constructor(message: string) {
    super(message);
    this.name = 'VmRefusedError';
  }
}

/**
 * A snapshot that is there no more, or does not hold what it held: somebody removed it, or what held it has ended. The VM is to be
 * held anew, under another id.
 */
export class SnapshotLostError extends Error {
  /** @param reason half a sentence */
  constructor(vm: string, snapshotId: string, reason: string) {
    super(`The snapshot "${snapshotId}" of the VM "${vm}" is lost: ${reason}.`);
    this.name = 'SnapshotLostError';
  }
}

/** A VM that is held already, by somebody else. */
export class VmHeldError extends Error {
  constructor(
    readonly vm: string,
    readonly heldBy: string,
  ) {
    super(`The VM "${vm}" is held by "${heldBy}".`);
    this.name = 'VmHeldError';
  }
}

/** A guest that has not shut down within the time it had. It may still do so. */
export class NotShutDownError extends Error {
  /** @param why what is known of it, a sentence without its end */
  constructor(vm: string, timeoutSeconds: number, why?: string, options?: ErrorOptions) {
    super(
      `"${vm}" has not shut down within ${timeoutSeconds} s${why === undefined ? '' : `: ${why}`}.`,
      options,
    );
    this.name = 'NotShutDownError';
  }
}

/** A VM as the site has it now. */
export type DescribedVm = VmConfiguration & { power: PowerState; mark?: string; heldBy?: string };

export interface Hypervisor {
  /** Names of all VMs, sorted. */
  listVms(): Promise<string[]>;
  /**
   * `mark` is what {@link createVm} was given; absent on a VM that was created without one. `heldBy` is what {@link holdVm}
   * was given; absent on a VM that is not held.
   * @throws VmNotFoundError
   */
  describeVm(vm: string): Promise<DescribedVm>;

  /**
   * Holds all disks of the VM as they are at one instant, under an id that the caller chooses. The guest goes on.
   * Called again with the same id, it returns the snapshot that exists. An id that was released is not used again.
   * @throws VmNotFoundError; SnapshotLostError where the one that exists holds nothing any more
   */
  snapshotVm(vm: string, snapshotId: string, options?: SnapshotOptions): Promise<VmSnapshot>;
  /** Opens a disk of a snapshot for reading. @throws SnapshotLostError */
  openSnapshotDisk(vm: string, snapshotId: string, diskKey: string): Promise<OpenDisk>;
  /**
   * Areas of a snapshot's disk, ascending and disjoint. With `since`, the disk's change marker of an earlier snapshot, which
   * may have been released: those that may differ from it. Without: those that may hold anything but zeros. They may be
   * too large, and never miss a byte.
   * @param since whatever a backup's manifest holds: one that this adapter did not make, or cannot read, is answered by undefined
   * @returns undefined where the hypervisor cannot tell for certain; every byte has to be compared then
   * @throws SnapshotLostError
   */
  changedAreas(
    vm: string,
    snapshotId: string,
    diskKey: string,
    since?: string,
  ): Promise<DiskArea[] | undefined>;
  /** Gives a snapshot and everything that it holds up. */
  releaseSnapshot(vm: string, snapshotId: string): Promise<void>;

  /**
   * Creates a powered-off VM without disks; the template VM of failback. `mark` is kept with the VM for as long as it
   * exists: it tells whose VM this is (a run's id), so that nobody removes a VM that was there before.
   * Where a VM of that name and with that mark exists, the call changes nothing.
   * @throws VmExistsError where a VM of that name exists that has another mark, or none
   */
  createVm(vm: string, configuration: Omit<VmConfiguration, 'disks'>, mark?: string): Promise<void>;
  /** Space that new disks can take, in bytes. */
  freeBytes(): Promise<number>;
  /** Creates an empty disk (all zeros) and attaches it to the powered-off VM. */
  addDisk(vm: string, disk: DiskConfiguration): Promise<void>;
  /** Opens a disk of a powered-off VM for reading and writing. */
  openDisk(vm: string, diskKey: string): Promise<OpenDisk>;
  /** Sets CPUs, memory, firmware and NICs of a powered-off VM. */
  configureVm(vm: string, configuration: Omit<VmConfiguration, 'disks'>): Promise<void>;
  /** Removes a VM and its disks; running or not. */
  deleteVm(vm: string): Promise<void>;

  /**
   * Keeps a powered-off VM's disks and hardware as they are, whatever is done to the VM from now on, under an id that the caller
   * chooses. Called again with the same id, it changes nothing.
   * @throws VmHeldError where it is held under another id; Error where it runs, or a disk of it is open
   */
  holdVm(vm: string, holdId: string): Promise<void>;
  /**
   * Gives back exactly what {@link holdVm} kept: the VM is off, its disks and hardware are what they were, and it is held no more.
   * Whoever has a disk of it open loses it. A VM that is not held under this id stays as it is; one that is gone is no error.
   */
  revertVm(vm: string, holdId: string): Promise<void>;
  /** Gives up what {@link holdVm} kept; the VM stays as it is now, running or not. One that is not held, or gone, is no error. */
  dropHold(vm: string, holdId: string): Promise<void>;
  /**
   * Gives a powered-off VM another name, its disks untouched.
   * @throws VmNotFoundError; VmExistsError where a VM has that name; VmRefusedError where it cannot be had
   */
  renameVm(vm: string, name: string): Promise<void>;

  powerOn(vm: string): Promise<void>;
  /** Asks the guest to shut down and waits until it has; one that is off stays so. @throws NotShutDownError */
  shutDown(vm: string, timeoutSeconds: number): Promise<void>;
  /** Takes the power away. */
  powerOff(vm: string): Promise<void>;
  /** The last bytes that the guest wrote to its serial console, at most 64 KiB; empty where it has none. */
  consoleOutput(vm: string): Promise<string>;

  /**
   * Looks whether the site lets something be done: rights, places, settings. Changes nothing, and is no promise. Absent where
   * there is nothing to ask for.
   */
  check?(question: SiteQuestion): Promise<SiteFindings>;
}
