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
  const gathering = new WriteGathering(BLOCKS_PER_WRITE * BLOCK_SIZE, (parts, offset) =>
    writer.write(parts, offset),
  );
  let canZeroRanges = true;

  async function write(index: number, block: Buffer): Promise<void> {
    const offset = index * BLOCK_SIZE;
    const length = Math.max(0, Math.min(BLOCK_SIZE, sizeBytes - offset));
    if (!isZero(block.subarray(length))) throw new DataBeyondDiskError(index, sizeBytes);
    if (length > 0) await gathering.add(offset, block.subarray(0, length));
  }

  async function zero(index: number, count: number): Promise<void> {
    const end = Math.min((index + count) * BLOCK_SIZE, sizeBytes);
    let zeroed = index * BLOCK_SIZE;
    if (canZeroRanges && count >= ZERO_RANGE_BLOCKS && zeroed < end) {
      zeroed = await zeroRange({ path, isDevice: writer.isDevice }, zeroed, end);
      canZeroRanges = zeroed === end;
    }
    for (; zeroed < end; zeroed += BLOCKS_PER_WRITE * BLOCK_SIZE) {
      const blocks = Math.min(BLOCKS_PER_WRITE, Math.ceil((end - zeroed) / BLOCK_SIZE));
      const first = zeroed / BLOCK_SIZE;
      await Promise.all(Array.from({ length: blocks }, (_, n) => write(first + n, ZERO_BLOCK)));
    }
  }

  return { write, zero, flush: () => writer.flush(), close: () => writer.close() };
}
