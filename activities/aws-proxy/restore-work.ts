import { hash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { ZERO_SHA256 } from '../../blocks/zero';
import { loadBlockMap, readManifest } from '../../repository/backups';
import { type BlockMap, changedBlocks } from '../../repository/block-map';
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
}

/** Reads the block maps of the recovery point and of the parent's, and compares them. */
export async function restoreWork(
  store: ObjectStore,
  vm: string,
  recoveryPoint: string,
  disk: RestoreDisk,
): Promise<RestoreWork> {
  const wanted = await backedUpDisk(store, vm, recoveryPoint, disk);
  const map = await loadBlockMap(store, vm, wanted);
  const parent =
    disk.parentRecoveryPoint === undefined
      ? undefined
      : await loadBlockMap(store, vm, await backedUpDisk(store, vm, disk.parentRecoveryPoint, disk));
  return { map, blockMapSha256: wanted.blockMapSha256, indexes: changedBlocks(map, parent) };
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

/**
 * The aggregated checksum of the written blocks that CompleteSnapshot wants ("linear": SHA-256 over the blocks'
 * digests in ascending order of index; EBS direct APIs, "CompleteSnapshot"), base64.
 */
export function linearChecksum({ map, indexes }: RestoreWork): string {
  // 32 bytes a block: 64 MiB for a full TiB, and hashed in one go.
  const digests = Buffer.alloc(indexes.length * 32);
  indexes.forEach((index, n) => (map.find(index)?.sha256 ?? ZERO_SHA256).copy(digests, n * 32));
  return hash('sha256', digests, 'base64');
}
