import { open } from 'node:fs/promises';
import { BLOCK_SIZE, type BlockSink } from './port';
import { isZero } from './zero';

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

/**
 * A raw file or block device of `sizeBytes` as a sink. The last block is cut where the disk ends; zeros past the end
 * (EBS sizes are whole GiB) are dropped, anything else is refused.
 */
export async function openFileSink(path: string, sizeBytes: number): Promise<BlockSink> {
  // Neither created nor truncated: the disk must exist, and a device has no other size.
  const file = await open(path, 'r+');
  return {
    async write(index, block) {
      const offset = index * BLOCK_SIZE;
      const length = Math.max(0, Math.min(BLOCK_SIZE, sizeBytes - offset));
      if (!isZero(block.subarray(length))) throw new DataBeyondDiskError(index, sizeBytes);
      for (let written = 0; written < length;) {
        const { bytesWritten } = await file.write(block, written, length - written, offset + written);
        written += bytesWritten;
      }
    },
    flush: () => file.datasync(),
    close: () => file.close(),
  };
}
