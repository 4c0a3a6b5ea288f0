import { open, type FileHandle } from 'node:fs/promises';
import { BLOCK_SIZE, type BlockSource } from './port';
import { isZero } from './zero';

/**
 * Reads exactly that many bytes from a file or device.
 * @throws where it ends before
 */
export async function readExactly(
  file: FileHandle,
  path: string,
  into: Buffer,
  offset: number,
): Promise<void> {
  for (let filled = 0; filled < into.length;) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, offset + filled);
    if (bytesRead === 0)
      throw new Error(`${path} ends at ${offset + filled}; ${into.length - filled} bytes are missing.`);
    filled += bytesRead;
  }
}

/** A raw file or block device of `sizeBytes` as a source of blocks, the last one padded with zeros. */
export async function openFileSource(path: string, sizeBytes: number): Promise<BlockSource> {
  const file = await open(path, 'r');
  return {
    async read(index, into) {
      const offset = index * BLOCK_SIZE;
      const length = Math.min(BLOCK_SIZE, sizeBytes - offset);
      if (length <= 0) throw new Error(`${path} has no block ${index}: it is ${sizeBytes} bytes long.`);
      await readExactly(file, path, into.subarray(0, length), offset);
      into.fill(0, length);
      return !isZero(into);
    },
    close: () => file.close(),
  };
}
