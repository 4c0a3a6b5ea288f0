import { type FileHandle } from 'node:fs/promises';
import { type BlockInTransit } from './copy';
import { BLOCK_SIZE } from './port';
import { readInto } from './threads/pool';
import { ZERO_BLOCK, ZERO_SHA256 } from './zero';

/**
 * The blocks of a file or device of `sizeBytes`, on their way: each is read and hashed in one go, on a thread, the last
 * one padded with zeros.
 * @param range block numbers from `from` up to, and without, `to`
 */
export function* fileBlocks(
  file: FileHandle,
  sizeBytes: number,
  { from, to }: { from: number; to: number },
): Generator<BlockInTransit> {
  for (let index = from; index < to; index++)
    yield {
      index,
      floor: index,
      async load(into) {
        const position = index * BLOCK_SIZE;
        const length = Math.min(BLOCK_SIZE, sizeBytes - position);
        const sha256 = await readInto(into, { fd: file.fd, position, length });
        return sha256 === undefined ? { block: ZERO_BLOCK, sha256: ZERO_SHA256 } : { block: into, sha256 };
      },
    };
}
