import { type ApplianceGuest, isNtfs } from '../files/appliance/guest';
import { type Volume } from '../files/appliance/volumes';
import { MountedFiles } from '../files/mounted-files';
import { GuestFileError } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { readPartitionTable } from './partitions';
import { expectNotHibernated, looksLikeWindows } from '../windows/detect';

/** Most volumes that are looked into: a disk has some letters' worth of them. */
const MAX_LOOKED_INTO = 30;

export interface FoundWindows {
  /** Those that hold a Windows; of the boot disk, where it has any: another disk may have a copy of it. */
  volumes: Volume[];
  /** Why volumes that may hold one could not be looked into. */
  failures: unknown[];
}

/**
 * Looks for the volume with \Windows\System32\config. Windows' others (System Reserved, recovery) have none.
 * Nothing is written: a log must not be replayed while the guest may be hibernated.
 */
export async function findWindows(guest: ApplianceGuest, bootDisk: string): Promise<FoundWindows> {
  const found: Volume[] = [];
  const failures: unknown[] = [];
  for (const volume of guest.volumes.filter(isNtfs).slice(0, MAX_LOOKED_INTO)) {
    try {
      if (await onVolume(guest, volume, looksLikeWindows)) found.push(volume);
    } catch (error) {
      // Another file system than the system's may be as it likes.
      if (!(error instanceof GuestNotAdaptableError) && !(error instanceof GuestFileError)) throw error;
      failures.push(error);
    }
  }
  const onBootDisk = found.filter(({ device }) => device.startsWith(`${bootDisk}p`));
  return { volumes: onBootDisk.length > 0 ? onBootDisk : found, failures };
}

/** @throws GuestNotAdaptableError where the guest is hibernated: its memory knows its file system, which nobody may change */
export async function expectSwitchedOff(guest: ApplianceGuest, volume: Volume): Promise<void> {
  await onVolume(guest, volume, expectNotHibernated);
}

/**
 * Types of partitions of the Logical Disk Manager: of an MBR, and of a GPT its database and its data
 * (learn.microsoft.com: PARTITION_INFORMATION_GPT).
 */
const DYNAMIC = new Set([
  '42',
  '5808C8AA-7E8F-42E0-85D2-E1E90434CFB3',
  'AF9B60A0-1431-4F62-BC68-3311714A69AD',
]);

/**
 * A volume of a dynamic disk may be spanned, striped or one half of a mirror, whose other half would be another afterwards.
 * @throws GuestNotAdaptableError where a disk is one
 */
export async function expectBasicDisk(diskPath: string): Promise<void> {
  const table = await readPartitionTable(diskPath);
  if (!table?.partitions.some(({ type }) => DYNAMIC.has(type))) return;
  throw new GuestNotAdaptableError(
    "The disk of the guest's Windows is a dynamic disk (LDM), whose volumes cannot be changed from outside. " +
      'Convert it to a basic disk, by a tool that does so without loss, or by a copy to a new disk, and back it up again.',
  );
}

async function onVolume<T>(
  guest: ApplianceGuest,
  volume: Volume,
  work: (files: MountedFiles) => Promise<T>,
): Promise<T> {
  const fileSystem = await guest.lookAt(volume);
  try {
    return await work(new MountedFiles([{ mountPoint: '/', fileSystem }]));
  } finally {
    await guest.unmount(volume);
  }
}
