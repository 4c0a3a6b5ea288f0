/**
 * Making a guest that ran at the primary site bootable on EC2, and the way back, offline: by reading and writing
 * files in its file system, never by running its code or mounting it in this host's kernel.
 */

import { type ControllerPlace, type DiskPlace } from '../machines/disk-place';

/** A boot script as it is put into the guest. */
export interface BootScript {
  /** File name; letters, digits, ".", "_" and "-". */
  name: string;
  content: Uint8Array;
}

/** A name that the guest shall find at an address, through /etc/hosts. */
export interface HostEntry {
  address: string;
  names: string[];
  /** Whether it is the guest itself: names of its own that are not among these lead there as well. */
  self?: boolean;
}

/** A disk of the guest other than the boot disk, as a path on this host. */
export interface DataDisk extends DiskPlace {
  diskPath: string;
}

/** Where a VM's boot disk is among its disks, and its others. */
export interface OtherDisks {
  /** Position of the boot disk on its storage controller at the primary site; the lowest that is free where absent. */
  slot?: number;
  /** Its controller. Either all disks of the VM name theirs, or none does. */
  controller?: ControllerPlace;
  /**
   * The VM's other disks: a guest that names a disk by its letter (`/dev/sdb1`) finds it under another name on EC2, and
   * one that has a directory of its system there is written there, too; all else on them is only read. The order of
   * their places is that of the letters.
   */
  dataDisks: DataDisk[];
}

export interface RecoverySiteAdaptation extends OtherDisks {
  /** Path of the boot disk on this host: a block device, or a raw file. */
  diskPath: string;
  bootScripts: BootScript[];
  hosts: HostEntry[];
  /** Names the run, so that boot scripts run once per failover and not once for ever. */
  runId: string;
  /**
   * Whether the disk is a launch copy, which one launch after another is made of: `runId` and addresses in `hosts` may be placeholders
   * (launch-data.ts), and the guest puts what the instance's user data tells into their places at boot, before anything uses
   * the network. Without user data that fits, names of other VMs lead nowhere and boot scripts do not run.
   */
  launchCopy?: boolean;
}

/**
 * What an adaptation may write, in bytes, on one disk where writes are kept apart: an initramfs of some 100 MiB for each
 * kernel that a guest may have. The disks of the guest itself bound it as well.
 */
export const LARGEST_ADAPTATION_BYTES = 2 * 2 ** 30;

/** What was done to a guest; goes to the log and the run's details. */
export interface AdaptationReport {
  family: string;
  /** Kernel releases that were adapted. */
  kernels: string[];
  /** Kernel modules put into the initramfs, in load order, by name. */
  modules: string[];
  /** Paths in the guest that were added or changed. */
  changed: string[];
  /** What an operator should know of the guest although it does not keep it from running; one sentence each. */
  warnings: string[];
}

/** A guest that cannot be adapted. The message says which piece is missing and what would help. */
export class GuestNotAdaptableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GuestNotAdaptableError';
  }
}

/**
 * A tool of this host that is too old for what is on the guest's disk. Not the guest's fault: the same guest is adapted
 * by a newer one.
 */
export class ToolTooOldError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ToolTooOldError';
  }
}

export interface GuestAdapter {
  /**
   * Gives the guest the drivers, console, network, names and boot scripts of the recovery site.
   * Run twice on one disk it has the effect of one run. A failure may leave the disk half-changed: throw it away.
   * @throws GuestNotAdaptableError
   * @throws ToolTooOldError
   */
  adaptForRecoverySite(adaptation: RecoverySiteAdaptation): Promise<AdaptationReport>;
  /**
   * Takes back everything that {@link adaptForRecoverySite} did: the primary site's network and names return.
   * On a guest that was never adapted it changes nothing.
   * @param others the VM's other disks, which may have directories of its system; none where absent
   * @throws GuestNotAdaptableError
   * @throws ToolTooOldError
   */
  revertForPrimarySite(diskPath: string, others?: OtherDisks): Promise<AdaptationReport>;
}
