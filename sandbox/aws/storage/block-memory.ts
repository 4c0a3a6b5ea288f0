import { BLOCK_SIZE } from './block';

/** Blocks kept for reuse: as many as clients usually have under way. */
const MOST_KEPT = 128;

const kept: Buffer[] = [];

/**
 * Memory for one block, to be given back. New memory for every block would cost as much as hashing it does: the kernel
 * hands it out page by page.
 */
export function takeBlockMemory(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(BLOCK_SIZE);
}

/** Only when nobody reads or writes it any more. */
export function giveBlockMemory(memory: Buffer): void {
  if (kept.length < MOST_KEPT) kept.push(memory);
}
