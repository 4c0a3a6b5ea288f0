import { open } from 'node:fs/promises';
import { BlockSet } from '../../blocks/block-set';
import { blockMemory } from '../../blocks/memory';
import { forEachBounded } from '../../blocks/pipeline';
import { BLOCK_SIZE } from '../../blocks/port';
import { readInto } from '../../blocks/threads/pool';
import { type BlockMap } from '../../repository/maps/block-map';
import { MAP_PAGE_BLOCKS } from '../../repository/maps/block-map-format';
import { type MapPage } from '../../repository/maps/map-page';

/** A disk at home, and what is known of the volume that it is to become. */
export interface ComparedDisk {
  path: string;
  sizeBytes: number;
  /** Blocks of the volume: EBS sizes are whole GiB. */
  volumeBlocks: number;
  /** Blocks of the volume that hold anything. */
  listed: BlockSet;
  /** The disk at the recovery point, and what changed on EC2 since; absent where that is not known. */
  since?: { map: BlockMap; changed: BlockSet };
  signal: AbortSignal;
  /** Called for every block of the disk that is decided. */
  onDecided(): void;
}

/** Blocks read and hashed at once: what two or three threads have before them. */
const READS_AT_ONCE = 8;

/**
 * The blocks in which the disk may differ from the volume. A block that EC2 has not changed is what it was at the recovery point,
 * whose block map has its digest; one that is the same at home need not travel. What changed on EC2 is not compared: EBS tells no
 * digests. Where the recovery point is no help, every block that holds anything counts, and every other that is not zero at home.
 * Memory: a bit a block.
 */
export async function differingBlocks(disk: ComparedDisk): Promise<BlockSet> {
  const { path, sizeBytes, volumeBlocks, listed, since, signal, onDecided } = disk;
  const differing = BlockSet.of(volumeBlocks);
  const diskBlocks = Math.ceil(sizeBytes / BLOCK_SIZE);
  const file = await open(path, 'r');
  try {
    await forEachBounded(
      pagesAndBlocks(volumeBlocks, since?.map),
      READS_AT_ONCE,
      signal,
      async ({ index, page }) => {
        const onEc2 = since?.changed ?? listed;
        if (onEc2.has(index)) differing.add(index);
        // Beyond the disk there is nothing at home to differ.
        else if (index < diskBlocks) {
          const before = page?.find(index)?.sha256;
          const now = await digest(file.fd, index, sizeBytes);
          if (before === undefined ? now !== undefined : now?.equals(before) !== true) differing.add(index);
        }
        if (index < diskBlocks) onDecided();
      },
    );
  } finally {
    await file.close();
  }
  return differing;
}

/** Ascending, each with the page of the map that tells of it; none where that is all zeros. One page is in memory at a time. */
async function* pagesAndBlocks(
  blocks: number,
  map: BlockMap | undefined,
): AsyncGenerator<{ index: number; page?: MapPage }> {
  let page: MapPage | undefined;
  for (let index = 0; index < blocks; index++) {
    const n = Math.floor(index / MAP_PAGE_BLOCKS);
    if (index % MAP_PAGE_BLOCKS === 0) page = map?.pageRef(n) === undefined ? undefined : await map.page(n);
    yield { index, ...(page === undefined ? {} : { page }) };
  }
}

/** @returns undefined where the block is all zeros */
async function digest(fd: number, index: number, sizeBytes: number): Promise<Buffer | undefined> {
  const position = index * BLOCK_SIZE;
  const memory = await blockMemory.take();
  try {
    return await readInto(memory.bytes, { fd, position, length: Math.min(BLOCK_SIZE, sizeBytes - position) });
  } finally {
    memory.release();
  }
}
