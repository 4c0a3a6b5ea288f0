import { BLOCK_SIZE } from '../../blocks/port';
import { openScratchDisk, type ScratchDisk, sweepScratchDisks } from '../../machines/scratch-disk';
import { openBlockMap, readManifest } from '../backups/backups';
import { DamagedObjectError } from '../objects/json-object';
import { manifestKey } from '../objects/keys';
import { type ObjectStore } from '../objects/object-store';
import { BackupDevice } from './backup-device';
import { PlainBlocks } from './plain-blocks';

/** A disk of a backup as a raw file that can be written to; the backup stays as it is, and what is written goes. */
export interface BackupDisk {
  key: string;
  sizeBytes: number;
  /** See {@link ScratchDisk.path}: this process serves the file. */
  path: string;
  /**
   * Numbers of the disk's blocks, ascending, in which anything was written, by writes that have returned; also of those in which what
   * was written had been there before.
   */
  writtenBlocks(): Promise<number[]>;
}

export interface BackupDisksOptions {
  store: ObjectStore;
  vm: string;
  /** Id of the backup, which nobody collects meanwhile. */
  recoveryPoint: string;
  /** For what is written, and for sockets; swept of what processes that were killed have left. */
  directory: string;
  /** What may be written to one disk; writes beyond it fail. */
  largestBytes: number;
  /** Ends all reading. */
  signal?: AbortSignal;
}

/** A disk that does not hold all that was written to it. */
export class BackupDiskLostError extends Error {
  constructor(key: string, largestBytes: number) {
    super(
      `The disk "${key}" of the backup does not hold what was written to it: that came to more than the ${largestBytes} bytes ` +
        `that it may, or its qemu-storage-daemon was killed. See to the memory of this host.`,
    );
    this.name = 'BackupDiskLostError';
  }
}

/**
 * Opens all disks of a backup, by key, for as long as the work takes. Nothing of the backup is copied: what is read comes from the
 * repository, verified block by block.
 * @throws DamagedObjectError, DamagedBlockError where the backup is missing or damaged, the signal's reason where that came, and
 *   what the store threw: each instead of what the work made of a disk that could not be read, also where it made nothing of it
 * @throws BackupDiskLostError likewise
 */
export async function withBackupDisks<T>(
  { store, vm, recoveryPoint, directory, largestBytes, signal }: BackupDisksOptions,
  work: (disks: ReadonlyMap<string, BackupDisk>) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  await sweepScratchDisks(directory);
  const manifest = await readManifest(store, vm, recoveryPoint);
  if (manifest === undefined) throw new DamagedObjectError(manifestKey(vm, recoveryPoint), 'it is missing.');
  const ended = new AbortController();
  const reading = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  const blocks = new PlainBlocks(store, reading);
  const open: OpenBackupDisk[] = [];
  try {
    for (const backedUp of manifest.disks) {
      const { key, sizeBytes } = backedUp;
      const device = new BackupDevice(await openBlockMap(store, vm, backedUp), blocks, reading);
      const scratch = await openScratchDisk({ device }, sizeBytes, largestBytes, directory);
      const { path } = scratch;
      open.push({ key, sizeBytes, path, writtenBlocks: () => writtenBlocks(scratch), device, scratch });
    }
    const settle = await work(new Map(open.map((disk) => [disk.key, disk]))).then(
      (value) => () => value,
      (error: unknown) => () => Promise.reject(error as Error),
    );
    await throwFailure(open, largestBytes);
    return await settle();
  } finally {
    ended.abort();
    await closeAll(open);
  }
}

interface OpenBackupDisk extends BackupDisk {
  device: BackupDevice;
  scratch: ScratchDisk;
}

/** @throws what keeps the disks from being what they should be */
async function throwFailure(open: OpenBackupDisk[], largestBytes: number): Promise<void> {
  for (const { device } of open) device.throwFailure();
  for (const { key, scratch } of open)
    if (!(await scratch.holdsAll())) throw new BackupDiskLostError(key, largestBytes);
}

/** Closes all of them, whatever one of them throws. */
async function closeAll(open: OpenBackupDisk[]): Promise<void> {
  const closed = await Promise.allSettled(open.map(({ scratch }) => scratch.close()));
  for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason;
}

async function writtenBlocks(disk: ScratchDisk): Promise<number[]> {
  const blocks = new Set<number>();
  for (const { offset, length } of await disk.writtenAreas())
    for (let index = Math.floor(offset / BLOCK_SIZE); index * BLOCK_SIZE < offset + length; index++)
      blocks.add(index);
  return [...blocks].sort((a, b) => a - b);
}
