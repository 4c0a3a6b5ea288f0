import { type Backoff, withBackoff } from '../blocks/backoff';
import { type BlockInTransit } from '../blocks/copy';
import { mapAhead } from '../blocks/pipeline';
import { isTransientAwsError } from '../blocks/transient';
import { ZERO_BLOCK, ZERO_SHA256 } from '../blocks/zero';
import { type BlockMap, MAP_PAGE_BLOCKS } from './block-map';
import { type MapEntry } from './block-map-format';
import { type MapPage } from './map-page';
import { type ObjectStore } from './object-store';
import { decodeBlock } from './pack';

/** Blocks that are looked at together to find neighbours in packs: at most 128 MiB of disk. */
const WINDOW_BLOCKS = 256;
/** Largest ranged GET. With {@link READ_AHEAD} of them, memory stays under 32 MiB a copy. */
const MAX_RANGE_BYTES = 8 * 2 ** 20;
/** Bytes not wanted that are read rather than making another request: some 5 ms on a 100 Mbit/s link. */
const MAX_GAP_BYTES = 64 * 2 ** 10;
/** Ranged GETs under way. S3 gives about 90 MB/s a connection; EBS direct takes 500 MB/s of plain blocks. */
const READ_AHEAD = 4;
/** Some 10 s in all: longer troubles are for the activity's retry. */
const BACKOFF: Backoff = { attempts: 8, baseMs: 100, capMs: 5000 };

/** Blocks to be fetched by one ranged GET; or, without a pack, blocks that are all zeros. */
export interface ReadUnit {
  pack?: string;
  offset: number;
  length: number;
  /** In the order in which they lie in the pack. */
  entries: MapEntry[];
  zeros: number[];
}

/** Groups blocks (ascending indexes) into few, large ranged reads, a window of the disk at a time. */
export async function* planReads(map: BlockMap, indexes: Iterable<number>): AsyncGenerator<ReadUnit> {
  let page: { n: number; of?: MapPage } | undefined;
  let entries: MapEntry[] = [];
  let zeros: number[] = [];
  function* flush(): Generator<ReadUnit> {
    if (zeros.length > 0) yield { offset: 0, length: 0, entries: [], zeros };
    yield* coalesce(entries);
    entries = [];
    zeros = [];
  }
  for (const index of indexes) {
    const n = Math.floor(index / MAP_PAGE_BLOCKS);
    if (page?.n !== n) page = { n, of: map.pageRef(n) && (await map.page(n)) };
    const entry = page.of?.find(index);
    if (entry === undefined) zeros.push(index);
    else entries.push(entry);
    if (entries.length + zeros.length >= WINDOW_BLOCKS) yield* flush();
  }
  yield* flush();
}

function* coalesce(entries: MapEntry[]): Generator<ReadUnit> {
  const byPack = new Map<string, MapEntry[]>();
  for (const entry of entries) {
    const found = byPack.get(entry.pack);
    if (found === undefined) byPack.set(entry.pack, [entry]);
    else found.push(entry);
  }
  for (const [pack, blocks] of byPack) {
    blocks.sort((a, b) => a.offset - b.offset);
    let unit: ReadUnit | undefined;
    for (const entry of blocks) {
      const end = entry.offset + entry.length;
      const near = unit !== undefined && entry.offset - (unit.offset + unit.length) <= MAX_GAP_BYTES;
      if (unit !== undefined && near && end - unit.offset <= MAX_RANGE_BYTES) {
        unit.length = Math.max(unit.length, end - unit.offset);
        unit.entries.push(entry);
      } else {
        if (unit !== undefined) yield unit;
        unit = { pack, offset: entry.offset, length: entry.length, entries: [entry], zeros: [] };
      }
    }
    if (unit !== undefined) yield unit;
  }
}

/**
 * Streams blocks of a backed-up disk: few, large ranged GETs, a few ahead of the consumer, bounded memory. The order
 * is that of the packs inside a window of the disk, so nearly that of the disk.
 * @param indexes ascending; a block that the map does not have comes as zeros
 */
export async function* readBlocks(
  store: ObjectStore,
  map: BlockMap,
  indexes: Iterable<number>,
  signal: AbortSignal,
): AsyncGenerator<BlockInTransit> {
  const fetched = mapAhead(planReads(map, indexes), READ_AHEAD, async (unit) => ({
    unit,
    bytes: unit.pack === undefined ? ZERO_BLOCK : await fetchRange(store, unit.pack, unit, signal),
  }));
  for await (const { unit, bytes } of fetched) {
    for (const index of unit.zeros)
      yield { index, load: () => Promise.resolve({ block: ZERO_BLOCK, sha256: ZERO_SHA256 }) };
    for (const entry of unit.entries) {
      const start = entry.offset - unit.offset;
      const stored = bytes.subarray(start, start + entry.length);
      yield {
        index: entry.index,
        load: async () => ({ block: await decodeBlock(entry, stored), sha256: entry.sha256 }),
      };
    }
  }
}

function fetchRange(
  store: ObjectStore,
  pack: string,
  { offset, length }: { offset: number; length: number },
  signal: AbortSignal,
): Promise<Buffer> {
  return withBackoff(BACKOFF, signal, isTransientAwsError, () => store.getRange(pack, offset, length));
}
