import { openDiskWriter } from './disk-writer';
import { BLOCK_SIZE, type BlockSink } from './port';
import { BLOCKS_PER_WRITE } from './write-buffers';
import { WriteGathering } from './write-gathering';
import { isZero, ZERO_BLOCK } from './zero';
import { zeroRange } from './zero-range';

/** Data where the disk has no room for it: copying on would lose it. */
export class DataBeyondDiskError extends Error {
  constructor(
    readonly index: number,
    sizeBytes: number,
  ) {
    super(`Block ${index} holds data beyond the end of the disk, which has ${sizeBytes} bytes.`);
    this.name = 'DataBeyondDiskError';
  }
}

export type FileSink = Required<BlockSink>;

/** Blocks from which on a request for zeros costs less CPU than writing them: it starts a program. */
const ZERO_RANGE_BLOCKS = 32;

/**
 * A raw file or block device of `sizeBytes` as a sink. The last block is cut where the disk ends; zeros past the end
 * (EBS sizes are whole GiB) are dropped, anything else is refused. Blocks that are written at the same time and follow
 * one another go in one write.
 */
export async function openFileSink(path: string, sizeBytes: number): Promise<FileSink> {
  const writer = await openDiskWriter(path);
  const gathering = new WriteGathering({
    maxBytes: BLOCKS_PER_WRITE * BLOCK_SIZE,
    write: (parts, offset) => writer.write(parts, offset),
    zeroPieces: ZERO_RANGE_BLOCKS,
    zero: makeZero,
  });
  let canZeroRanges = true;

  async function write(index: number, block: Buffer): Promise<void> {
    const offset = index * BLOCK_SIZE;
    const length = Math.max(0, Math.min(BLOCK_SIZE, sizeBytes - offset));
    if (!isZero(block.subarray(length))) throw new DataBeyondDiskError(index, sizeBytes);
    if (length > 0) await gathering.add(offset, block.subarray(0, length), block === ZERO_BLOCK);
  }

  /** One request where there is such a one; else writes, each of which is nothing but the one block of zeros. */
  async function makeZero(start: number, end: number): Promise<void> {
    let zeroed = start;
    if (canZeroRanges) {
      zeroed = await zeroRange({ path, isDevice: writer.isDevice }, start, end);
      canZeroRanges = zeroed === end;
    }
    for (; zeroed < end; zeroed += BLOCKS_PER_WRITE * BLOCK_SIZE) {
      const parts: Buffer[] = [];
      for (let n = 0; n < BLOCKS_PER_WRITE; n++) {
        const length = Math.min(BLOCK_SIZE, end - zeroed - n * BLOCK_SIZE);
        if (length > 0) parts.push(ZERO_BLOCK.subarray(0, length));
      }
      await writer.write(parts, zeroed);
    }
  }

  async function zero(index: number, count: number): Promise<void> {
    const start = index * BLOCK_SIZE;
    const end = Math.min(start + count * BLOCK_SIZE, sizeBytes);
    if (count >= ZERO_RANGE_BLOCKS && start < end) return makeZero(start, end);
    await Promise.all(Array.from({ length: count }, (_, n) => write(index + n, ZERO_BLOCK)));
  }

  return { write, zero, flush: () => writer.flush(), close: () => writer.close() };
}
