import { type CopyJournal } from './journal';
import { blockMemory } from './memory';
import { forEachBounded } from './pipeline';
import { type BlockSink } from './port';

/** A block on its way to a sink. */
export interface BlockInTransit {
  index: number;
  /**
   * No block below this one is still to come: where a copy on another host, without the journal, can go on once all
   * that came before is done. The block's own index where blocks come in ascending order.
   */
  floor: number;
  /**
   * To be called once: gets the bytes, many blocks at once.
   * @param into memory for the block; it may be left unused, where the block lies somewhere already
   * @returns the block and its digest
   */
  load(into: Buffer): Promise<LoadedBlock>;
}

export interface LoadedBlock {
  block: Buffer;
  /** What the block's digest must be. */
  sha256: Buffer;
  /**
   * There where nobody has compared the two yet, since the sink does. When the sink fails, throws what is wrong with
   * the block, if it is the block; must be called before its memory is used again.
   */
  explain?(): Promise<void>;
}

export interface BlockCopy {
  blocks: AsyncIterable<BlockInTransit> | Iterable<BlockInTransit>;
  sink: BlockSink;
  journal: CopyJournal;
  /**
   * Whether a block that was written can no longer be lost (an API has answered), or only once the sink was flushed
   * (the page cache of a host that may crash).
   */
  durable: 'at once' | 'when flushed';
  /**
   * Blocks under way at once, at most, asked again and again; the memory for blocks is shared with the other copies of this
   * process.
   */
  concurrency: () => number;
  signal: AbortSignal;
  /** Called for every block that is done for good. `resumeAt` tells, when asked, below which block all are. */
  onDone(index: number, resumeAt: () => number): void;
}

/** Milliseconds between two flushes: what a crash makes us write again, against what flushing costs. */
const FLUSH_INTERVAL_MS = 1000;

/** Copies blocks, bounded, recording in the journal what is begun and what is done. Flushes at the end. */
export async function copyBlocks(copy: BlockCopy): Promise<void> {
  const { sink, journal } = copy;
  const floors = new Floors();
  let written: number[] = [];
  let flushing: Promise<void> | undefined;
  let flushedAt = Date.now();

  const markDone = (index: number): void => {
    journal.done(index);
    floors.end(index);
    copy.onDone(index, floors.lowest);
  };
  const checkpoint = async (): Promise<void> => {
    // Only what was written before the flush began is certain after it; other writes go on meanwhile.
    const certain = written;
    written = [];
    await sink.flush();
    certain.forEach(markDone);
    await journal.sync();
    flushedAt = Date.now();
  };

  await forEachBounded(copy.blocks, copy.concurrency, copy.signal, async ({ index, floor, load }) => {
    floors.begin(index, floor);
    const memory = await blockMemory.take();
    try {
      const { block, sha256, explain } = await load(memory.bytes);
      journal.started(index);
      await sink.write(index, block, sha256).catch(async (error: unknown) => {
        await explain?.();
        throw error;
      });
    } finally {
      memory.release();
    }
    if (copy.durable === 'at once') markDone(index);
    else written.push(index);
    if (flushing === undefined && Date.now() - flushedAt >= FLUSH_INTERVAL_MS) {
      flushing = checkpoint().finally(() => (flushing = undefined));
      await flushing;
    }
  });
  await flushing;
  await checkpoint();
}

/** The floors of the blocks that are not done yet. */
class Floors {
  private readonly open = new Map<number, number>();
  private latest = 0;

  begin(index: number, floor: number): void {
    this.open.set(index, floor);
    this.latest = Math.max(this.latest, floor);
  }

  end(index: number): void {
    this.open.delete(index);
  }

  /** All blocks below it are done. */
  readonly lowest = (): number => {
    let lowest = this.latest;
    for (const floor of this.open.values()) lowest = Math.min(lowest, floor);
    return lowest;
  };
}
