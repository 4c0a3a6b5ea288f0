import { type BlockInTransit } from '../../blocks/copy';
import { blockMemory } from '../../blocks/memory';

/** Loads blocks one after the other; `block` is good until the next is asked for. */
export async function* loadedBlocks(
  blocks: AsyncIterable<BlockInTransit>,
): AsyncGenerator<{ index: number; block: Buffer }> {
  const memory = await blockMemory.take();
  try {
    for await (const { index, load } of blocks) {
      const { block } = await load(memory.bytes);
      yield { index, block };
    }
  } finally {
    memory.release();
  }
}
