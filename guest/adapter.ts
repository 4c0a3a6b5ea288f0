import { detectFamily } from './detect-family';
import { openApplianceSystem } from './disk/appliance-system';
import { addEfiFallback, removeEfiFallback, type EfiSystem } from './disk/efi-fallback';
import { efiSystemPartition } from './disk/firmware';
import { findLayout, readBootDisk } from './disk/layout';
import { NotPlainError } from './disk/not-plain';
import { openPlainSystem } from './disk/plain-system';
import { replayJournal } from './files/check';
import { DebugfsProcesses } from './files/debugfs-session';
import { withGuest } from './files/open-guest';
import { GuestFileError } from './files/port';
import { type OperatingSystemFamily } from './family';
import { type GuestSystem } from './guest-system';
import { GuestNotAdaptableError, type AdaptationReport, type GuestAdapter, type OtherDisks } from './port';

/**
 * Adapts guests offline: those on plain ext2, ext3 and ext4 partitions by tools of e2fsprogs, util-linux and fdisk, which must be on
 * this host; others by the appliance, which set-up makes (docs/guests.md). What compresses a guest's modules and initramfs
 * must be here, too, and mtools for one that boots by UEFI.
 */
export function guestAdapter(): GuestAdapter {
  return {
    adaptForRecoverySite: (adaptation) =>
      onGuest(async (debugfs) => {
        const system = await openSystemOf(adaptation.diskPath, adaptation, 'write', debugfs);
        return working(system, async (family) => {
          const loaders = await addLoader(adaptation.diskPath, family.efi);
          const report = await family.adapt(system, adaptation);
          return { ...report, changed: [...report.changed, ...loaders] };
        });
      }),
    revertForPrimarySite: (diskPath, others = { dataDisks: [] }) =>
      onGuest(async (debugfs) => {
        // Not even the journal of a guest that was never adapted is touched.
        const report = await reportIfNeverAdapted(await openSystemOf(diskPath, others, 'look', debugfs));
        if (report !== undefined) return report;
        const system = await openSystemOf(diskPath, others, 'write', debugfs);
        return working(system, async (family) => {
          const report = await family.revert(system);
          const loaders = await removeLoader(diskPath, family.efi);
          return { ...report, changed: [...report.changed, ...loaders] };
        });
      }),
  };
}

/**
 * An instance has no boot entries in NVRAM: a disk that only UEFI boots needs the loader that is started without one.
 * @returns what was changed on the EFI system partition, as the guest would see it
 */
async function addLoader(diskPath: string, efi: EfiSystem): Promise<string[]> {
  const disk = await readBootDisk(diskPath);
  const partition = efiSystemPartition(disk);
  if (partition !== undefined) return seenByGuest(efi, await addEfiFallback(diskPath, partition.offset, efi));
  // Windows boots from a GPT by UEFI, or not at all.
  if (efi.kind === 'windows' && disk.table.label === 'gpt')
    throw new GuestNotAdaptableError(
      'The guest runs Windows on a disk with GPT, and the disk has no EFI system partition to boot it from. See that the disk that the VM boots from is its first.',
    );
  return [];
}

/**
 * Linux keeps the loader, as a VM that is made anew at home has no boot entries, either. Windows' own tools keep theirs up to date,
 * and not ours: what was there before is put back.
 */
async function removeLoader(diskPath: string, efi: EfiSystem): Promise<string[]> {
  const partition = efi.kind === 'windows' ? efiSystemPartition(await readBootDisk(diskPath)) : undefined;
  return partition === undefined ? [] : seenByGuest(efi, await removeEfiFallback(diskPath, partition.offset));
}

/** Linux mounts the partition; Windows gives it no letter. */
function seenByGuest(efi: EfiSystem, paths: string[]): string[] {
  return efi.kind === 'windows' ? paths : paths.map((path) => `/boot/efi${path}`);
}

/** Opens the guest's system by the simplest way that there is to it. */
async function openSystemOf(
  diskPath: string,
  others: OtherDisks,
  mode: 'look' | 'write',
  debugfs: DebugfsProcesses,
): Promise<GuestSystem> {
  try {
    const layout = await findLayout(diskPath, debugfs);
    // Before anything is read that is acted upon: what the journal holds is newer.
    if (mode === 'write') await replayJournal(diskPath, layout.root.offset, false);
    return await openPlainSystem(diskPath, others, layout, debugfs);
  } catch (error) {
    if (!(error instanceof NotPlainError)) throw error;
    return openApplianceSystem(diskPath, others, mode);
  }
}

/** @returns undefined where the guest was adapted, or cannot be read before its journal is replayed */
async function reportIfNeverAdapted(system: GuestSystem): Promise<AdaptationReport | undefined> {
  try {
    return await withGuest(system.openReadOnly, async (files) => {
      const family = await detectFamily(files);
      const state = await family.recordedState(files).catch((error: unknown) => {
        // The journal may hold the rest of a record that looks damaged without it.
        if (error instanceof GuestNotAdaptableError) return 'cut off';
        throw error;
      });
      if (state !== 'never adapted') return undefined;
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
  work: (family: OperatingSystemFamily) => Promise<AdaptationReport>,
): Promise<AdaptationReport> {
  try {
    await system.replay(false);
    const { family, state } = await withGuest(system.openReadOnly, async (files) => {
      const found = await detectFamily(files);
      return { family: found, state: await found.recordedState(files) };
    });
    // Work on this disk was cut off, and debugfs, killed, leaves a file system that says it is clean.
    if (state === 'cut off') await system.replay(true);
    const report = await work(family);
    await system.finish();
    return { ...report, warnings: [...system.warnings, ...report.warnings] };
  } catch (error) {
    await system.abandon();
    throw error;
  }
}

/** Works on one guest. A file of it that is not as it must be is the guest's fault, and trying again does not help. */
async function onGuest<T>(work: (debugfs: DebugfsProcesses) => Promise<T>): Promise<T> {
  try {
    return await DebugfsProcesses.during(work);
  } catch (error) {
    if (error instanceof GuestFileError) throw new GuestNotAdaptableError(error.message);
    throw error;
  }
}
