import { hash } from 'node:crypto';
import { BLOCK_SIZE, type BlockSource } from '../blocks/port';
import { mapAhead } from '../blocks/pipeline';
import { type BlockMap, MAP_PAGE_BLOCKS } from './block-map';
import { type MapPage } from './map-page';
import { encodeBlock, type StoredBlock } from './pack';

/** Blocks that are read, hashed and compressed as one piece of work: 4 MiB. */
const EXTENT_BLOCKS = 8;
/** Extents under way: enough to keep libuv's four threads compressing while the next are read. */
const EXTENTS_AHEAD = 4;

/** What a stretch of a disk came to, compared with the previous backup. */
export interface ScannedExtent {
  /** First block, and the one after the last. */
  from: number;
  to: number;
  changed: { index: number; sha256: Buffer; stored: StoredBlock }[];
  /** Blocks that are all zeros now and were not before. */
  zeroed: number[];
}

/**
 * Reads a disk from block `from` on, in order. Each block is hashed once; only those that the previous backup does
 * not have are compressed. Buffers are used again, so memory does not grow with the disk.
 */
export function scanDisk(
  source: BlockSource,
  from: number,
  blocks: number,
  previous: BlockMap | undefined,
  signal: AbortSignal,
): AsyncGenerator<ScannedExtent> {
  const free: Buffer[] = [];
  let latest: { n: number; page: Promise<MapPage> } | undefined;
  const pageOf = async (n: number): Promise<MapPage | undefined> => {
    if (previous?.pageRef(n) === undefined) return undefined;
    if (latest?.n !== n) latest = { n, page: previous.page(n) };
    return latest.page;
  };

  return mapAhead(extents(from, blocks), EXTENTS_AHEAD, async ({ from, to }) => {
    signal.throwIfAborted();
    const buffer = free.pop() ?? Buffer.allocUnsafe(EXTENT_BLOCKS * BLOCK_SIZE);
    const extent: ScannedExtent = { from, to, changed: [], zeroed: [] };
    // Extents never cross from one page to the next.
    const page = await pageOf(Math.floor(from / MAP_PAGE_BLOCKS));
    for (let index = from; index < to; index++) {
      const block = buffer.subarray((index - from) * BLOCK_SIZE, (index - from + 1) * BLOCK_SIZE);
      const known = page?.positionOf(index) ?? -1;
      if (!(await source.read(index, block))) {
        if (known >= 0) extent.zeroed.push(index);
        continue;
      }
      const sha256 = hash('sha256', block, 'buffer');
      if (known >= 0 && page!.sha256At(known).equals(sha256)) continue;
      extent.changed.push({ index, sha256, stored: await encodeBlock(block) });
    }
    free.push(buffer);
    return extent;
  });
}

function* extents(from: number, blocks: number): Generator<{ from: number; to: number }> {
  for (let start = from; start < blocks; start += EXTENT_BLOCKS)
    yield { from: start, to: Math.min(start + EXTENT_BLOCKS, blocks) };
}
