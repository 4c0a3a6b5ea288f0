import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { DIRECT_ALIGNMENT, isDirectable } from './aligned';
import { isNotSupported, openDirect } from './direct-file';
import { BLOCK_SIZE, type BlockSource } from './port';
import { isZero } from './zero';

/** A source whose blocks can be read many at once. */
export interface FileSource extends BlockSource {
  /**
   * Fills `into` (`count` blocks) with consecutive blocks by one read. Past the page cache where `into` is an
   * {@link alignedBuffer}, which 4 MiB at a time and two reads under way is the quickest.
   * @returns for each block, whether it holds anything but zeros
   */
  readRange(index: number, count: number, into: Buffer): Promise<boolean[]>;
}

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
export async function openFileSource(path: string, sizeBytes: number): Promise<FileSource> {
  const file = await open(path, 'r');
  const direct = await openDirect(path, constants.O_RDONLY).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });

  /** Some file systems let a file be opened with O_DIRECT, and refuse to transfer. */
  let refused = false;

  /** @returns how many of the bytes were read, from the first on: whole pages, or none */
  async function readDirect(into: Buffer, offset: number): Promise<number> {
    const whole = into.subarray(0, into.length - (into.length % DIRECT_ALIGNMENT));
    if (direct === undefined || refused || whole.length === 0 || !isDirectable(whole, offset)) return 0;
    try {
      const { bytesRead } = await direct.read(whole, 0, whole.length, offset);
      return bytesRead - (bytesRead % DIRECT_ALIGNMENT);
    } catch (error) {
      if (!isNotSupported(error)) throw error;
      refused = true;
      return 0;
    }
  }

  async function readRange(index: number, count: number, into: Buffer): Promise<boolean[]> {
    const offset = index * BLOCK_SIZE;
    const length = Math.min(count * BLOCK_SIZE, sizeBytes - offset);
    if (length <= (count - 1) * BLOCK_SIZE)
      throw new Error(`${path} has no block ${index + count - 1}: it is ${sizeBytes} bytes long.`);
    const data = into.subarray(0, length);
    const read = await readDirect(data, offset);
    await readExactly(file, path, data.subarray(read), offset + read);
    into.fill(0, length, count * BLOCK_SIZE);
    return Array.from(
      { length: count },
      (_, n) => !isZero(into.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE)),
    );
  }

  return {
    readRange,
    async read(index, into) {
      const [hasData] = await readRange(index, 1, into);
      return hasData!;
    },
    async close() {
      await direct?.close();
      await file.close();
    },
  };
}
