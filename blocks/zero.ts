import { hash } from 'node:crypto';
import { BLOCK_SIZE } from './port';

/** A block of zeros. Shared: never write to it. */
export const ZERO_BLOCK = Buffer.alloc(BLOCK_SIZE);

/** SHA-256 of {@link ZERO_BLOCK}. */
export const ZERO_SHA256 = hash('sha256', ZERO_BLOCK, 'buffer');

/** Whether a buffer of at most BLOCK_SIZE bytes holds nothing but zeros. A plain memcmp: some 20 µs for a block. */
export function isZero(block: Buffer): boolean {
  return block.equals(block.length === BLOCK_SIZE ? ZERO_BLOCK : ZERO_BLOCK.subarray(0, block.length));
}
