import { type BlockSink } from './port';
import { ZERO_BLOCK } from './zero';

/**
 * A sink whose target is known to be all zeros, a new snapshot or disk, to which nobody else writes: zeros need not be
 * written there. Sources know their zeros, and hand out the one shared block of them.
 */
export function emptyTarget(sink: BlockSink): BlockSink {
  return {
    ...sink,
    write: (index, block, sha256) =>
      block === ZERO_BLOCK ? Promise.resolve() : sink.write(index, block, sha256),
  };
}
