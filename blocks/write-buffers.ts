import { alignedBuffer } from './aligned';
import { BLOCK_SIZE } from './port';

/**
 * Blocks that one write takes at most: 2 MiB, from which on larger writes were no quicker (docs/decisions/0009), and
 * eight times what EBS counts as one I/O of a gp3 volume.
 */
export const BLOCKS_PER_WRITE = 4;

/**
 * Buffers of the whole process, 16 MiB in all, whatever the number of disks. More would not help: libuv has four
 * threads to write with.
 */
const BUFFERS = 8;

const free: Buffer[] = [];
const waiting: ((buffer: Buffer) => void)[] = [];
let made = 0;

/** A buffer of {@link BLOCKS_PER_WRITE} blocks on a page boundary, to be given back soon; waits until there is one. */
export function takeWriteBuffer(): Promise<Buffer> {
  const buffer = free.pop();
  if (buffer !== undefined) return Promise.resolve(buffer);
  if (made < BUFFERS) {
    made++;
    return Promise.resolve(alignedBuffer(BLOCKS_PER_WRITE * BLOCK_SIZE));
  }
  return new Promise((resolve) => waiting.push(resolve));
}

export function giveWriteBuffer(buffer: Buffer): void {
  const next = waiting.shift();
  if (next === undefined) free.push(buffer);
  else next(buffer);
}
