import { forEachBounded } from '../../blocks/pipeline';
import { type MapEntry, PACK_MAGIC } from '../maps/block-map-format';
import { type Findings } from './check-findings';
import { DamagedObjectError } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import { DamagedBlockError, decodeBlock } from '../packs/pack';

/** Largest ranged GET. With {@link READS} of them under way, 32 MiB and the blocks made of them. */
const MAX_RANGE_BYTES = 8 * 2 ** 20;
/** Bytes not wanted that are read rather than making another request. */
const MAX_GAP_BYTES = 64 * 2 ** 10;
const READS = 4;

/** A stored block, and the recovery points that need it. */
export interface NeededBlock {
  entry: MapEntry;
  suffering: Set<string>;
}

/**
 * Reads stored blocks, each once, by few, large ranged GETs, and verifies every one of them.
 * @param onRead called with the blocks and the stored bytes of each read
 */
export async function checkBlocks(
  store: ObjectStore,
  blocks: NeededBlock[],
  findings: Findings,
  signal: AbortSignal,
  onRead: (blocks: number, bytes: number) => void,
): Promise<void> {
  await forEachBounded(ranges(blocks), READS, signal, async (range) => {
    const all = new Set(range.blocks.flatMap(({ suffering }) => [...suffering]));
    // The first block's neighbour is the pack's own beginning, which nobody else looks at.
    const begin = range.offset <= PACK_MAGIC.length ? 0 : range.offset;
    let bytes: Buffer;
    try {
      bytes = await store.getRange(range.pack, begin, range.end - begin);
    } catch (error) {
      if (!(error instanceof DamagedObjectError)) throw error;
      findings.addError(error, all);
      return;
    }
    if (begin === 0 && !bytes.subarray(0, PACK_MAGIC.length).equals(PACK_MAGIC))
      findings.add(range.pack, 'it does not begin like a pack', range.blocks[0]?.suffering ?? all);
    for (const { entry, suffering } of range.blocks) {
      try {
        await decodeBlock(entry, bytes.subarray(entry.offset - begin, entry.offset - begin + entry.length));
      } catch (error) {
        if (!(error instanceof DamagedBlockError)) throw error;
        findings.add(range.pack, error.message, suffering);
      }
    }
    onRead(range.blocks.length, bytes.length);
  });
}

interface Range {
  pack: string;
  offset: number;
  end: number;
  blocks: NeededBlock[];
}

function* ranges(blocks: NeededBlock[]): Generator<Range> {
  const sorted = blocks.sort(({ entry: a }, { entry: b }) =>
    a.pack === b.pack ? a.offset - b.offset : a.pack < b.pack ? -1 : 1,
  );
  let range: Range | undefined;
  for (const block of sorted) {
    const { pack, offset, length } = block.entry;
    const end = offset + length;
    const joins =
      range?.pack === pack && offset - range.end <= MAX_GAP_BYTES && end - range.offset <= MAX_RANGE_BYTES;
    if (range !== undefined && joins) {
      range.end = Math.max(range.end, end);
      range.blocks.push(block);
    } else {
      if (range !== undefined) yield range;
      range = { pack, offset, end, blocks: [block] };
    }
  }
  if (range !== undefined) yield range;
}
