import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { ZERO_SHA256 } from '../../../blocks/zero';
import { openBlockMap, readManifest } from '../../../repository/backups/backups';
import { type BlockMap } from '../../../repository/maps/block-map';
import { changedBlocks, type ChangedBlock } from '../../../repository/maps/changed-blocks';
import { type BackedUpDisk } from '../../../repository/backups/manifest';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type Extent, type RestoreDisk } from '../contract';

/** What a restore of a disk compares: the recovery point, and the one that the parent snapshot holds. */
export interface RestoreMaps {
  map: BlockMap;
  parent?: BlockMap;
  /** SHA-256 (lower-case hex) of the recovery point's block map. */
  blockMapSha256: string;
}

/** Opens the block maps of the recovery point and of the parent's. */
export async function openRestoreMaps(
  store: ObjectStore,
  vm: string,
  recoveryPoint: string,
  disk: RestoreDisk,
): Promise<RestoreMaps> {
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

/**
 * Blocks of an extent: 1 GiB, one to two seconds of what an account may write. Few enough that a dead worker's are soon
 * done again and that workers share even a small disk, enough to make the 50 ms that an activity costs small.
 */
const EXTENT_BLOCKS = 2048;
/** Extents of a disk at most: each is three events in a history. */
const MOST_EXTENTS = 64;

/**
 * Splits what a restore writes into stretches of the disk with about the same number of blocks to write, for
 * several workers to share. None where nothing is to be written.
 */
export async function planExtents({ map, parent }: RestoreMaps): Promise<Extent[]> {
  let extents: Extent[] = [];
  let size = EXTENT_BLOCKS;
  for await (const changed of changedBlocks(map, parent))
    for (const { index } of changed) {
      const last = extents.at(-1);
      if (last !== undefined && last.blocks < size) {
        last.blocks++;
        last.to = index + 1;
        continue;
      }
      if (extents.length === MOST_EXTENTS) {
        // Larger ones, as many again: two of each become one.
        extents = pairwise(extents);
        size *= 2;
      }
      extents.push({ from: index, to: index + 1, blocks: 1 });
    }
  return extents;
}

function pairwise(extents: Extent[]): Extent[] {
  const pairs: Extent[] = [];
  for (let n = 0; n < extents.length; n += 2) {
    const [first, second] = [extents[n]!, extents[n + 1] ?? extents[n]!];
    const blocks = second === first ? first.blocks : first.blocks + second.blocks;
    pairs.push({ from: first.from, to: second.to, blocks });
  }
  return pairs;
}

/** Those of the blocks of a stretch that are still to be written. */
export async function* pendingBlocks(
  { map, parent }: RestoreMaps,
  range: { from: number; to: number },
  isPending: (index: number) => boolean,
): AsyncGenerator<ChangedBlock[]> {
  for await (const changed of changedBlocks(map, parent, range))
    yield changed.filter(({ index }) => isPending(index));
}

/**
 * How many blocks a restore writes, and their aggregated checksum as CompleteSnapshot wants it ("linear": SHA-256 over
 * the blocks' digests in ascending order of index; EBS direct APIs, "CompleteSnapshot"), base64.
 */
export async function linearChecksum({
  map,
  parent,
}: RestoreMaps): Promise<{ blocks: number; checksum: string }> {
  const sum = createHash('sha256');
  let blocks = 0;
  for await (const changed of changedBlocks(map, parent))
    for (const { entry } of changed) {
      sum.update(entry?.sha256 ?? ZERO_SHA256);
      blocks++;
    }
  return { blocks, checksum: sum.digest('base64') };
}
