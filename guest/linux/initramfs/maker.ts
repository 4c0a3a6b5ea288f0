import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { type KernelModule } from '../kernel-modules';
import { type InitramfsImage } from './image';
import { type SegmentFile } from './segment';

/** What an initramfs shall do besides what it does. */
export interface InitramfsExtension {
  modules: KernelModule[];
  /** Device to wake up from, where the initramfs itself names one that is none here. */
  resume?: string | undefined;
  /** Kernel arguments as they hold here, where an image brings some of its own. */
  argumentsHere?: ((text: string) => string) | undefined;
}

/** A program that makes initramfs images, and decides how they work. */
export interface InitramfsMaker {
  name: string;
  /** Whether an image is its work, by what only its images have. */
  made: (image: InitramfsImage) => boolean;
  /** Whether it is installed in a guest, by files that only its own package has. */
  isInstalled: (files: GuestFiles) => Promise<boolean>;
  /** Small files of an image that {@link extend} has to know. */
  wants: (path: string) => boolean;
  /**
   * Files that make an image load the modules before it looks for disks.
   * @throws ArchiveDamagedError where that image has no way to
   */
  extend: (image: InitramfsImage, extension: InitramfsExtension) => SegmentFile[];
  /** Has the drivers put into images that are made at the recovery site, where the guest has this maker. */
  planRebuild: (files: GuestFiles, plan: ChangePlan, drivers: RebuildDrivers) => Promise<void>;
  /** What makes a kernel's image anew, for people. */
  command: (release: string) => string;
}

/** Modules of the kernel that boots, by site. */
export interface RebuildDrivers {
  recoverySite: string[];
  primarySite: string[];
}
