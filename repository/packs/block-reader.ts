import { type Backoff, withBackoff } from '../../blocks/backoff';
import { type BlockInTransit } from '../../blocks/copy';
import { SharedLease, STORED_RANGE_BYTES, storedMemory } from '../../blocks/memory';
import { mapAhead } from '../../blocks/pipeline';
import { decodeInto, placeInto, sha256Of, UndecodableError } from '../../blocks/threads/pool';
import { isTransientAwsError } from '../../blocks/transient';
import { ZERO_BLOCK, ZERO_SHA256 } from '../../blocks/zero';
import { type MapEntry } from '../maps/block-map-format';
import { type ChangedBlock } from '../maps/changed-blocks';
import { type ObjectStore } from '../objects/object-store';
import { DamagedBlockError } from './pack';

/** Blocks that are looked at together to find neighbours in packs: at most 128 MiB of disk. */
const WINDOW_BLOCKS = 256;
/** Bytes not wanted that are read rather than making another request: some 5 ms on a 100 Mbit/s link. */
export const MAX_GAP_BYTES = 64 * 2 ** 10;
/** Ranged GETs under way for one copy. S3 gives about 90 MB/s a connection; EBS direct takes 500 MB/s of plain blocks. */
const READ_AHEAD = 4;
/** Some 10 s in all: longer troubles are for the activity's retry. */
export const PACK_BACKOFF: Backoff = { attempts: 8, baseMs: 100, capMs: 5000 };

/** Blocks to be fetched by one ranged GET; or, without a pack, blocks that are all zeros. */
export interface ReadUnit {
  /** Lowest index of the blocks that are looked at together. */
  floor: number;
  pack?: string;
  offset: number;
  /** At most STORED_RANGE_BYTES. */
  length: number;
  /** In the order in which they lie in the pack. */
  entries: MapEntry[];
  zeros: number[];
}

/** Groups blocks (ascending indexes) into few, large ranged reads, a window of the disk at a time. */
export async function* planReads(
  blocks: AsyncIterable<ChangedBlock[]> | Iterable<ChangedBlock[]>,
): AsyncGenerator<ReadUnit> {
  let window: ChangedBlock[] = [];
  for await (const some of blocks)
    for (const block of some) {
      window.push(block);
      if (window.length < WINDOW_BLOCKS) continue;
      yield* unitsOf(window);
      window = [];
    }
  yield* unitsOf(window);
}

function* unitsOf(window: ChangedBlock[]): Generator<ReadUnit> {
  const floor = window[0]?.index ?? 0;
  const zeros = window.filter(({ entry }) => entry === undefined).map(({ index }) => index);
  if (zeros.length > 0) yield { floor, offset: 0, length: 0, entries: [], zeros };
  const byPack = Map.groupBy(
    window.flatMap(({ entry }) => entry ?? []),
    ({ pack }) => pack,
  );
  for (const [pack, blocks] of byPack) {
    blocks.sort((a, b) => a.offset - b.offset);
    let unit: ReadUnit | undefined;
    for (const entry of blocks) {
      const end = entry.offset + entry.length;
      const near = unit !== undefined && entry.offset - (unit.offset + unit.length) <= MAX_GAP_BYTES;
      if (unit !== undefined && near && end - unit.offset <= STORED_RANGE_BYTES) {
        unit.length = Math.max(unit.length, end - unit.offset);
        unit.entries.push(entry);
      } else {
        if (unit !== undefined) yield unit;
        unit = { floor, pack, offset: entry.offset, length: entry.length, entries: [entry], zeros: [] };
      }
    }
    if (unit !== undefined) yield unit;
  }
}

/**
 * Who compares a block's bytes with the SHA-256 that its backup recorded: this process, or what it writes them to, as
 * EBS direct does, to which every block goes with that SHA-256 (docs/decisions/0013). Hashing is a third of a restore's
 * CPU.
 */
export type Verification = 'here' | 'by the target';

/**
 * Streams blocks of a backed-up disk: few, large ranged GETs, a few ahead of the consumer, in memory that all copies
 * share. The order is that of the packs inside a window of the disk, so nearly that of the disk.
 * @param blocks ascending; a block without an entry comes as zeros
 */
export async function* readBlocks(
  store: ObjectStore,
  blocks: AsyncIterable<ChangedBlock[]> | Iterable<ChangedBlock[]>,
  signal: AbortSignal,
  verification: Verification = 'here',
): AsyncGenerator<BlockInTransit> {
  const fetched = mapAhead(
    planReads(blocks),
    READ_AHEAD,
    async (unit) => ({
      unit,
      range: unit.pack === undefined ? undefined : await fetchRange(store, unit.pack, unit, signal),
    }),
    ({ range }) => range?.release(),
  );
  for await (const { unit, range } of fetched)
    try {
      const { floor } = unit;
      for (const index of unit.zeros)
        yield { index, floor, load: () => Promise.resolve({ block: ZERO_BLOCK, sha256: ZERO_SHA256 }) };
      if (range !== undefined)
        for (const entry of unit.entries) {
          range.retain();
          yield {
            index: entry.index,
            floor,
            load: (into) => loadBlock(entry, unit.offset, range, into, verification),
          };
        }
    } finally {
      range?.release();
    }
}

/** Makes a block out of what was fetched, and gives its hold on that back. */
async function loadBlock(
  entry: MapEntry,
  rangeOffset: number,
  range: SharedLease,
  into: Buffer,
  verification: Verification,
): ReturnType<BlockInTransit['load']> {
  const start = entry.offset - rangeOffset;
  const stored = range.bytes.subarray(start, start + entry.length);
  try {
    if (verification === 'here') compare(entry, await decodeInto(into, stored, entry.encoding));
    else await placeInto(into, stored, entry.encoding);
  } catch (error) {
    if (error instanceof UndecodableError) throw new DamagedBlockError(entry, error.message);
    throw error;
  } finally {
    range.release();
  }
  return {
    block: into,
    sha256: entry.sha256,
    // So that a target's refusal says which object of the backup is damaged.
    ...(verification === 'here' ? {} : { explain: async () => compare(entry, await sha256Of(into)) }),
  };
}

/** @throws DamagedBlockError */
function compare(entry: MapEntry, sha256: Buffer): void {
  if (!sha256.equals(entry.sha256)) throw new DamagedBlockError(entry, 'its SHA-256 is another');
}

async function fetchRange(
  store: ObjectStore,
  pack: string,
  { offset, length }: { offset: number; length: number },
  signal: AbortSignal,
): Promise<SharedLease> {
  const memory = await storedMemory.take();
  try {
    const into = memory.bytes.subarray(0, length);
    await withBackoff(PACK_BACKOFF, signal, isTransientAwsError, () =>
      store.readRange(pack, offset, into, signal),
    );
    return new SharedLease(memory);
  } catch (error) {
    memory.release();
    throw error;
  }
}
