import { type BlockInTransit } from './copy';
import { type BlockSource } from './port';
import { sha256Of } from './threads/pool';
import { ZERO_BLOCK, ZERO_SHA256 } from './zero';

/** The blocks of a disk from `from` up to, and without, `to`, on their way: read when they are loaded, hashed once. */
export function* blocksOf(source: BlockSource, { from, to }: { from: number; to: number }): Generator<BlockInTransit> {
  for (let index = from; index < to; index++)
    yield {
      index,
      floor: index,
      async load(into) {
        if (!(await source.read(index, into))) return { block: ZERO_BLOCK, sha256: ZERO_SHA256 };
        return { block: into, sha256: await sha256Of(into) };
      },
    };
}
