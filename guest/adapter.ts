import { detectFamily } from './detect-family';
import { DeviceNames } from './disk/device-names';
import { expectBootableFirmware } from './disk/firmware';
import { findLayout, type GuestLayout } from './disk/layout';
import { distinctFileSystems, openSystem, systemMounts, type SystemMount } from './disk/system-mounts';
import { type OpenableGuest } from './family';
import { expectSound, replayJournal } from './files/check';
import { withGuest, type OpenGuest } from './files/open-guest';
import { GuestFileError } from './files/port';
import { learnDisks } from './linux/learn-disks';
import { MANIFEST, readManifest } from './linux/manifest';
import { GuestNotAdaptableError, type AdaptationReport, type GuestAdapter, type OtherDisks } from './port';

/**
 * Adapts guests offline by tools of e2fsprogs, util-linux and fdisk, which must be on this host; a guest with modules
 * compressed by xz needs xz-utils, and one that boots by UEFI needs mtools.
 */
export function guestAdapter(): GuestAdapter {
  return {
    adaptForRecoverySite: (adaptation) =>
      asNotAdaptable(async () => {
        const layout = await findLayout(adaptation.diskPath);
        await expectBootableFirmware(adaptation.diskPath, layout);
        await replayJournal(adaptation.diskPath, layout.root.offset, false);
        const { system, names } = await findSystem(adaptation.diskPath, adaptation, layout);
        return prepared(system, names, async (guest) => {
          const family = await withGuest(guest.openReadOnly, detectFamily);
          return family.adapt(guest, adaptation);
        });
      }),
    revertForPrimarySite: (diskPath, others = { dataDisks: [] }) =>
      asNotAdaptable(async () => {
        const { system, names } = await findSystem(diskPath, others, await findLayout(diskPath));
        // Not even the journal of a guest that was never adapted is touched.
        const report = await reportIfNeverAdapted(() => openSystem(system, false));
        if (report !== undefined) return report;
        return prepared(system, names, async (guest) => {
          const family = await withGuest(guest.openReadOnly, detectFamily);
          return family.revert(guest);
        });
      }),
  };
}

/** Finds the file systems that the guest's system is on, and what its names for disks mean. */
async function findSystem(
  diskPath: string,
  { slot, dataDisks }: OtherDisks,
  layout: GuestLayout,
): Promise<{ system: SystemMount[]; names: DeviceNames }> {
  const names = await DeviceNames.read(diskPath, slot, dataDisks);
  const root = names.contents.find(
    (one) => one.diskPath === diskPath && one.partition?.number === layout.root.number,
  );
  if (root === undefined) throw new Error(`Partition ${layout.root.number} of ${diskPath} has gone.`);
  const rootMount = { mountPoint: '/', diskPath, offset: root.offset, type: root.identity.type };
  await withGuest(
    () => openSystem([rootMount], false),
    (files) => learnDisks(files, root, names),
  );
  return { system: await systemMounts(root, names), names };
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
  system: SystemMount[],
  names: DeviceNames,
  work: (guest: OpenableGuest) => Promise<AdaptationReport>,
): Promise<AdaptationReport> {
  const fileSystems = distinctFileSystems(system);
  for (const { diskPath, offset } of fileSystems) await replayJournal(diskPath, offset, false);
  const openReadOnly = () => openSystem(system, false);
  const manifest = await withGuest(openReadOnly, readManifest);
  if (manifest !== undefined && manifest.state !== 'applied') {
    // Work on this disk was cut off, and debugfs, killed, leaves a file system that says it is clean.
    for (const { diskPath, offset } of fileSystems) await replayJournal(diskPath, offset, true);
  }
  const report = await work({ open: () => openSystem(system, true), openReadOnly, names });
  for (const { diskPath, offset } of fileSystems) await expectSound(diskPath, offset);
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
