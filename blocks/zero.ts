import { hash } from 'node:crypto';
import { alignedBuffer } from './aligned';
import { BLOCK_SIZE } from './port';

/** A block of zeros. Shared: never write to it. Aligned, so that it is written as it is. */
export const ZERO_BLOCK = alignedBuffer(BLOCK_SIZE).fill(0);

/** SHA-256 of {@link ZERO_BLOCK}. */
export const ZERO_SHA256 = hash('sha256', ZERO_BLOCK, 'buffer');

/** Whether a buffer of at most BLOCK_SIZE bytes holds nothing but zeros. A plain memcmp: some 20 µs for a block. */
export function isZero(block: Buffer): boolean {
  return block.equals(block.length === BLOCK_SIZE ? ZERO_BLOCK : ZERO_BLOCK.subarray(0, block.length));
}
