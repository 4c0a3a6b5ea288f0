import { hash } from 'node:crypto';
import { mapAhead } from '../../blocks/pipeline';
import { BLOCK_SIZE, type BlockRange } from '../../blocks/port';
import { type BackupMemory, borrowed, EXTENT_BLOCKS } from './backup-memory';
import { type DiskSource } from './backup-source';
import { type EncodedBlock, encodeBlock } from '../packs/block-encoder';
import { type KnownAreas } from './disk-areas';
import { type MapPage } from '../maps/map-page';
import { type OpenPack } from '../packs/pack';

/** Extents of one pack that are read, hashed and compressed at once, while the one before is put into the pack. */
const EXTENTS_AHEAD = 2;

/**
 * Blocks that are looked at for one pack at most: 1 GiB. So a disk in which little changed is recorded as it is read, and
 * a backup that was killed reads little again.
 */
const PACK_BLOCKS = 2048;

/** A stretch of a page to be looked at. */
export interface Stretch {
  /** The block to begin with. */
  from: number;
  /** The block after the page's last. */
  end: number;
  /** Those from `from` to `end` that have to be read, ascending. */
  ranges: readonly BlockRange[];
  outside: KnownAreas['outside'];
  /** The page in the backup that this one builds on. */
  previous: MapPage | undefined;
}

/** What a scan found, beyond what it put into the pack. */
export interface Scanned {
  /** The block after the last that was decided. */
  to: number;
  /** Blocks that the previous backup had and that are not as they were. */
  gone: number[];
}

interface ScannedExtent extends BlockRange {
  changed: { index: number; sha256: Buffer; encoded: EncodedBlock }[];
  zeros: number[];
  /** What the changed blocks may be in. */
  buffer: Buffer;
}

/**
 * Reads a disk until a pack is full or the page ends, in order. Each block is hashed once; only those that the previous
 * backup does not have are compressed. Where it ends depends on the disk's content only, so that a backup that is
 * resumed makes the same packs again.
 * @param onIssued called with the block at which the scan ends, before the last of its blocks are in the pack: there
 *   the next pack can go on
 */
export async function scanStretch(
  source: DiskSource,
  stretch: Stretch,
  pack: OpenPack,
  memory: BackupMemory,
  signal: AbortSignal,
  onIssued: (to: number) => void,
): Promise<Scanned> {
  const { previous, end, outside } = stretch;
  const buffers = borrowed(memory.extents);
  const gone: number[] = [];
  let to = stretch.from;
  let underWay = 0;

  function* extents(): Generator<BlockRange> {
    let blocks = 0;
    for (const range of stretch.ranges)
      for (let from = range.from; from < range.to; from += EXTENT_BLOCKS) {
        const extent = { from, to: Math.min(range.to, from + EXTENT_BLOCKS) };
        const length = extent.to - extent.from;
        if (blocks + length > PACK_BLOCKS || !pack.hasRoomFor(underWay + length)) {
          onIssued(from);
          return;
        }
        blocks += length;
        underWay += length;
        to = extent.to;
        yield extent;
      }
    to = end;
    onIssued(end);
  }
  const skip = (range: BlockRange): void => {
    if (previous === undefined || outside === 'as before') return;
    for (let at = previous.firstFrom(range.from); at < previous.length; at++) {
      if (previous.indexAt(at) >= range.to) break;
      gone.push(previous.indexAt(at));
    }
  };

  let decided = stretch.from;
  const scanned = mapAhead(extents(), EXTENTS_AHEAD, async (extent) =>
    scanExtent(source, extent, previous, await buffers.take(signal)),
  );
  try {
    for await (const extent of scanned) {
      skip({ from: decided, to: extent.from });
      decided = extent.to;
      underWay -= extent.to - extent.from;
      for (const { index, sha256, encoded } of extent.changed) {
        pack.add(index, sha256, encoded);
        if ((previous?.positionOf(index) ?? -1) >= 0) gone.push(index);
      }
      gone.push(...extent.zeros);
      buffers.give(extent.buffer);
    }
  } finally {
    // Those of extents that nobody came to take.
    buffers.giveAll();
  }
  skip({ from: decided, to });
  return { to, gone };
}

async function scanExtent(
  source: DiskSource,
  { from, to }: BlockRange,
  previous: MapPage | undefined,
  buffer: Buffer,
): Promise<ScannedExtent> {
  const extent: ScannedExtent = { from, to, changed: [], zeros: [], buffer };
  const hasData = await source.readRange(from, to - from, buffer);
  const encodings = hasData.map(async (data, n) => {
    const index = from + n;
    const known = previous?.positionOf(index) ?? -1;
    if (!data) {
      if (known >= 0) extent.zeros.push(index);
      return [];
    }
    const block = buffer.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE);
    const sha256 = hash('sha256', block, 'buffer');
    if (known >= 0 && previous!.sha256At(known).equals(sha256)) return [];
    return [{ index, sha256, encoded: await encodeBlock(block) }];
  });
  // All of them, whatever becomes of one: the buffer may be used again when this returns.
  for (const outcome of await Promise.allSettled(encodings)) {
    if (outcome.status === 'rejected') throw outcome.reason;
    extent.changed.push(...outcome.value);
  }
  return extent;
}
