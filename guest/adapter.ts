import { detectFamily } from './detect-family';
import { openApplianceSystem } from './disk/appliance-system';
import { addEfiFallback } from './disk/efi-fallback';
import { efiSystemPartition } from './disk/firmware';
import { findLayout, readBootDisk } from './disk/layout';
import { NotPlainError } from './disk/not-plain';
import { openPlainSystem } from './disk/plain-system';
import { replayJournal } from './files/check';
import { withGuest } from './files/open-guest';
import { GuestFileError } from './files/port';
import { type GuestSystem } from './guest-system';
import { hasManifest, readManifest } from './linux/changes/manifest';
import { readOsRelease } from './linux/release';
import { GuestNotAdaptableError, type AdaptationReport, type GuestAdapter, type OtherDisks } from './port';

/**
 * Adapts guests offline: those on plain ext2, ext3 and ext4 partitions by tools of e2fsprogs, util-linux and fdisk, which must be on
 * this host; others by the appliance, which set-up makes (docs/guests.md). What compresses a guest's modules and initramfs
 * must be here, too, and mtools for one that boots by UEFI.
 */
export function guestAdapter(): GuestAdapter {
  return {
    adaptForRecoverySite: (adaptation) =>
      asNotAdaptable(async () => {
        const system = await openSystemOf(adaptation.diskPath, adaptation, 'write');
        return working(system, async () => {
          const { id } = await withGuest(system.openReadOnly, readOsRelease);
          const loaders = await addLoader(adaptation.diskPath, id);
          const family = await withGuest(system.openReadOnly, detectFamily);
          const report = await family.adapt(system, adaptation);
          return { ...report, changed: [...report.changed, ...loaders] };
        });
      }),
    revertForPrimarySite: (diskPath, others = { dataDisks: [] }) =>
      asNotAdaptable(async () => {
        // Not even the journal of a guest that was never adapted is touched.
        const report = await reportIfNeverAdapted(await openSystemOf(diskPath, others, 'look'));
        if (report !== undefined) return report;
        const system = await openSystemOf(diskPath, others, 'write');
        return working(system, async () => {
          const family = await withGuest(system.openReadOnly, detectFamily);
          return family.revert(system);
        });
      }),
  };
}

/**
 * An instance has no boot entries in NVRAM: a disk that only UEFI boots needs the loader that is started without one. It stays
 * at home, where a VM that is made anew has no entries, either.
 * @returns what was changed on the EFI system partition, as the guest would see it
 */
async function addLoader(diskPath: string, id: string): Promise<string[]> {
  const partition = efiSystemPartition(await readBootDisk(diskPath));
  if (partition === undefined) return [];
  const changed = await addEfiFallback(diskPath, partition.offset, { kind: 'linux', id });
  return changed.map((path) => `/boot/efi${path}`);
}

/** Opens the guest's system by the simplest way that there is to it. */
async function openSystemOf(
  diskPath: string,
  others: OtherDisks,
  mode: 'look' | 'write',
): Promise<GuestSystem> {
  try {
    const layout = await findLayout(diskPath);
    // Before anything is read that is acted upon: what the journal holds is newer.
    if (mode === 'write') await replayJournal(diskPath, layout.root.offset, false);
    return await openPlainSystem(diskPath, others, layout);
  } catch (error) {
    if (!(error instanceof NotPlainError)) throw error;
    return openApplianceSystem(diskPath, others, mode);
  }
}

/** @returns undefined where the guest was adapted, or cannot be read before its journal is replayed */
async function reportIfNeverAdapted(system: GuestSystem): Promise<AdaptationReport | undefined> {
  try {
    return await withGuest(system.openReadOnly, async (files) => {
      if (await hasManifest(files)) return undefined;
      const family = await detectFamily(files);
      return { family: family.name, kernels: [], modules: [], changed: [], warnings: [] };
    });
  } catch (error) {
    // What is wrong with the guest itself shows again, and is said, when it is read with its journal replayed.
    if (error instanceof GuestFileError) return undefined;
    throw error;
  } finally {
    await system.abandon();
  }
}

/** Replays the journals, does the work, and checks the file systems after it. */
async function working(
  system: GuestSystem,
  work: () => Promise<AdaptationReport>,
): Promise<AdaptationReport> {
  try {
    await system.replay(false);
    const manifest = await withGuest(system.openReadOnly, readManifest);
    // Work on this disk was cut off, and debugfs, killed, leaves a file system that says it is clean.
    if (manifest !== undefined && manifest.state !== 'applied') await system.replay(true);
    const report = await work();
    await system.finish();
    return report;
  } catch (error) {
    await system.abandon();
    throw error;
  }
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
