import { type CopyJournal } from './journal';
import { forEachBounded } from './pipeline';
import { type BlockSink } from './port';

/** A block on its way to a sink. What it takes to have its bytes happens in `load`, many at once. */
export interface BlockInTransit {
  index: number;
  /** To be called once. `sha256` is that of the block, verified. */
  load(): Promise<{ block: Buffer; sha256: Buffer }>;
}

export interface BlockCopy {
  blocks: AsyncIterable<BlockInTransit>;
  sink: BlockSink;
  journal: CopyJournal;
  /**
   * Whether a block that was written can no longer be lost (an API has answered), or only once the sink was flushed
   * (the page cache of a host that may crash).
   */
  durable: 'at once' | 'when flushed';
  /** Blocks under way at once; each takes 1 MiB at most, stored and plain. */
  concurrency: number;
  signal: AbortSignal;
  /** Called for every block that is done for good. */
  onDone(index: number): void;
}

/** Milliseconds between two flushes: what a crash makes us write again, against what flushing costs. */
const FLUSH_INTERVAL_MS = 2000;

/** Copies blocks, bounded, recording in the journal what is begun and what is done. Flushes at the end. */
export async function copyBlocks(copy: BlockCopy): Promise<void> {
  const { sink, journal } = copy;
  let written: number[] = [];
  let flushing: Promise<void> | undefined;
  let flushedAt = Date.now();

  const markDone = (indexes: readonly number[]): void => {
    for (const index of indexes) {
      journal.done(index);
      copy.onDone(index);
    }
  };
  const checkpoint = async (): Promise<void> => {
    // Only what was written before the flush began is certain after it; other writes go on meanwhile.
    const certain = written;
    written = [];
    await sink.flush();
    markDone(certain);
    await journal.sync();
    flushedAt = Date.now();
  };

  await forEachBounded(copy.blocks, copy.concurrency, copy.signal, async ({ index, load }) => {
    const { block, sha256 } = await load();
    journal.started(index);
    await sink.write(index, block, sha256);
    if (copy.durable === 'at once') markDone([index]);
    else written.push(index);
    if (flushing === undefined && Date.now() - flushedAt >= FLUSH_INTERVAL_MS) {
      flushing = checkpoint().finally(() => (flushing = undefined));
      await flushing;
    }
  });
  await checkpoint();
}
