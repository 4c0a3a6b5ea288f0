import { detectFamily } from './detect-family';
import { DeviceNames } from './disk/device-names';
import { expectBootableFirmware } from './disk/firmware';
import { findLayout, mountFiles, systemPartitions, type SystemPartition } from './disk/layout';
import { type OpenableGuest } from './family';
import { expectSound, replayJournal } from './files/check';
import { withGuest, type OpenGuest } from './files/open-guest';
import { GuestFileError } from './files/port';
import { MANIFEST, readManifest } from './linux/manifest';
import { GuestNotAdaptableError, type AdaptationReport, type GuestAdapter } from './port';

/**
 * Adapts guests offline by tools of e2fsprogs, util-linux and fdisk, which must be on this host; a guest with modules
 * compressed by xz needs xz-utils, and one that boots by UEFI needs mtools.
 */
export function guestAdapter(): GuestAdapter {
  return {
    adaptForRecoverySite: (adaptation) =>
      asNotAdaptable(async () => {
        const { diskPath, slot, dataDisks } = adaptation;
        const layout = await findLayout(diskPath);
        await expectBootableFirmware(diskPath, layout);
        const names = await DeviceNames.read(diskPath, slot, dataDisks);
        await replayJournal(diskPath, layout.root.offset, false);
        const partitions = await systemPartitions(diskPath, layout, names);
        return prepared(diskPath, partitions, names, async (guest) => {
          const family = await withGuest(guest.openReadOnly, detectFamily);
          return family.adapt(guest, adaptation);
        });
      }),
    revertForPrimarySite: (diskPath) =>
      asNotAdaptable(async () => {
        const layout = await findLayout(diskPath);
        const names = await DeviceNames.read(diskPath, undefined, []);
        const partitions = await systemPartitions(diskPath, layout, names);
        // Not even the journal of a guest that was never adapted is touched.
        const report = await reportIfNeverAdapted(() => mountFiles(diskPath, partitions, false));
        if (report !== undefined) return report;
        return prepared(diskPath, partitions, names, async (guest) => {
          const family = await withGuest(guest.openReadOnly, detectFamily);
          return family.revert(guest);
        });
      }),
  };
}

/** @returns undefined where the guest was adapted, or cannot be read before its journal is replayed */
async function reportIfNeverAdapted(readOnly: OpenGuest): Promise<AdaptationReport | undefined> {
  try {
    return await withGuest(readOnly, async (files) => {
      if ((await files.realpath(MANIFEST)) !== undefined) return undefined;
      const family = await detectFamily(files);
      return { family: family.name, kernels: [], modules: [], changed: [], warnings: [] };
    });
  } catch (error) {
    // What is wrong with the guest itself shows again, and is said, when it is read with its journal replayed.
    if (error instanceof GuestFileError) return undefined;
    throw error;
  }
}

/** Replays the journals and checks the file systems, does the work, and checks them again. */
async function prepared(
  diskPath: string,
  partitions: SystemPartition[],
  names: DeviceNames,
  work: (guest: OpenableGuest) => Promise<AdaptationReport>,
): Promise<AdaptationReport> {
  for (const { partition } of partitions) await replayJournal(diskPath, partition.offset, false);
  const openReadOnly = () => mountFiles(diskPath, partitions, false);
  const manifest = await withGuest(openReadOnly, readManifest);
  if (manifest !== undefined && manifest.state !== 'applied') {
    // Work on this disk was cut off, and debugfs, killed, leaves a file system that says it is clean.
    for (const { partition } of partitions) await replayJournal(diskPath, partition.offset, true);
  }
  const report = await work({ open: () => mountFiles(diskPath, partitions, true), openReadOnly, names });
  for (const { partition } of partitions) await expectSound(diskPath, partition.offset);
  return report;
}

/** A file of the guest that is not as it must be is the guest's fault, and trying again does not help. */
async function asNotAdaptable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GuestFileError) throw new GuestNotAdaptableError(error.message);
    throw error;
  }
}
