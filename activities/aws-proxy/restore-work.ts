import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { ZERO_SHA256 } from '../../blocks/zero';
import { openBlockMap, readManifest } from '../../repository/backups';
import { type BlockMap } from '../../repository/block-map';
import { changedBlocks, countChangedBlocks } from '../../repository/changed-blocks';
import { type BackedUpDisk } from '../../repository/manifest';
import { type ObjectStore } from '../../repository/object-store';
import { type RestoreDisk } from './contract';

/** What a restore has to write for a disk. */
export interface RestoreWork {
  map: BlockMap;
  /** SHA-256 (lower-case hex) of the block map. */
  blockMapSha256: string;
  /** Indexes of the blocks that differ from the parent (or, without one, are not zero), ascending. */
  indexes: Uint32Array;
  /**
   * The aggregated checksum of those blocks that CompleteSnapshot wants ("linear": SHA-256 over the blocks' digests in
   * ascending order of index; EBS direct APIs, "CompleteSnapshot"), base64.
   */
  linearChecksum: string;
}

/** Reads the block maps of the recovery point and of the parent's, and compares them. */
export async function restoreWork(
  store: ObjectStore,
  vm: string,
  recoveryPoint: string,
  disk: RestoreDisk,
): Promise<RestoreWork> {
  const { map, parent, blockMapSha256 } = await openMaps(store, vm, recoveryPoint, disk);
  const indexes: number[] = [];
  const digest = createHash('sha256');
  for await (const page of changedBlocks(map, parent))
    for (const { index, entry } of page) {
      indexes.push(index);
      digest.update(entry?.sha256 ?? ZERO_SHA256);
    }
  return { map, blockMapSha256, indexes: Uint32Array.from(indexes), linearChecksum: digest.digest('base64') };
}

/** How many blocks {@link restoreWork} would name, found without reading more of the maps than that takes. */
export async function restoreBlocks(
  store: ObjectStore,
  vm: string,
  recoveryPoint: string,
  disk: RestoreDisk,
): Promise<number> {
  const { map, parent } = await openMaps(store, vm, recoveryPoint, disk);
  return countChangedBlocks(map, parent);
}

async function openMaps(store: ObjectStore, vm: string, recoveryPoint: string, disk: RestoreDisk) {
  const wanted = await backedUpDisk(store, vm, recoveryPoint, disk);
  const map = await openBlockMap(store, vm, wanted);
  const parent =
    disk.parentRecoveryPoint === undefined
      ? undefined
      : await openBlockMap(store, vm, await backedUpDisk(store, vm, disk.parentRecoveryPoint, disk));
  return { map, parent, blockMapSha256: wanted.blockMapSha256 };
}

/** @throws ApplicationFailure BackupNotFound, non-retryable */
export async function backedUpDisk(
  store: ObjectStore,
  vm: string,
  recoveryPoint: string,
  { key, sizeBytes }: { key: string; sizeBytes: number },
): Promise<BackedUpDisk> {
  const manifest = await readManifest(store, vm, recoveryPoint);
  const disk = manifest?.disks.find(
    (candidate) => candidate.key === key && candidate.sizeBytes === sizeBytes,
  );
  if (disk === undefined)
    throw ApplicationFailure.nonRetryable(
      `The repository has no backup ${recoveryPoint} of ${vm} with a disk "${key}" of ${sizeBytes} bytes. Restore again: ` +
        `it will compare what is there.`,
      'BackupNotFound',
    );
  return disk;
}

/** Those of the blocks that are still to be written. */
export function* pending(indexes: Uint32Array, isPending: (index: number) => boolean): Generator<number> {
  for (const index of indexes) if (isPending(index)) yield index;
}
