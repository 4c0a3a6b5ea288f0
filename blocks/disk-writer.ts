import { constants } from 'node:fs';
import { open, stat, statfs, type FileHandle } from 'node:fs/promises';
import { DIRECT_ALIGNMENT, isDirectable } from './aligned';
import { isNotSupported, openDirect } from './direct-file';
import { giveWriteBuffer, takeWriteBuffer } from './write-buffers';

/**
 * Largest write past the page cache to a file by FUSE, which may be one of qemu-storage-daemon's: the kernel cuts what
 * takes more than 256 pages into requests that it sends at the same time, and QEMU (7.2) reads the second into the memory
 * of the first while it still writes that, so that the disk ends up with other bytes. This much, from a page on, is
 * always one request; and the kernel sends no other write to the file meanwhile.
 */
const FUSE_WRITE_BYTES = 512 * 1024;
/** Type of a file system by FUSE: statfs(2). */
const FUSE_MAGIC = 0x65735546;

/** A file or device that is written past the page cache, where it allows that, and through it where not. */
export interface DiskWriter {
  readonly isDevice: boolean;
  /**
   * Writes parts one after the other, by one call where the file takes it so. No part is looked at any more once the
   * promise is settled.
   * @param parts at most {@link BLOCKS_PER_WRITE} blocks in all
   * @param offset a multiple of {@link DIRECT_ALIGNMENT}
   */
  write(parts: readonly Buffer[], offset: number): Promise<void>;
  /** Makes what was written durable. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens what exists: it is neither created nor truncated. A block device is taken for this process alone.
 * @throws Error with code EBUSY where a device is mounted, or another copy has it
 */
export async function openDiskWriter(path: string): Promise<DiskWriter> {
  const isDevice = (await stat(path)).isBlockDevice();
  const file = await open(path, isDevice ? constants.O_RDWR | constants.O_EXCL : constants.O_RDWR);
  const direct = await openDirect(path, constants.O_RDWR).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
  const byFuse = !isDevice && (await statfs(path)).type === FUSE_MAGIC;
  /** Some file systems let a file be opened with O_DIRECT, and refuse to transfer. */
  let refused = false;

  async function writeDirect(parts: readonly Buffer[], offset: number): Promise<boolean> {
    if (direct === undefined || refused) return false;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const most = byFuse ? FUSE_WRITE_BYTES : length;
    try {
      for (let start = 0; start < length; start += most)
        await writeWhole(direct, between(parts, start, Math.min(start + most, length)), offset + start);
      return true;
    } catch (error) {
      if (!isNotSupported(error)) throw error;
      refused = true;
      return false;
    }
  }

  async function writePages(parts: readonly Buffer[], offset: number): Promise<void> {
    if (direct === undefined || refused) return writeWhole(file, parts, offset);
    if (parts.every((part) => isDirectable(part, 0))) {
      if (!(await writeDirect(parts, offset))) await writeWhole(file, parts, offset);
      return;
    }
    const buffer = await takeWriteBuffer();
    try {
      let length = 0;
      for (const part of parts) length += part.copy(buffer, length);
      const copied = [buffer.subarray(0, length)];
      if (!(await writeDirect(copied, offset))) await writeWhole(file, copied, offset);
    } finally {
      giveWriteBuffer(buffer);
    }
  }

  return {
    isDevice,
    async write(parts, offset) {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      // The end of a disk need not be that of a page. No page is ever written both ways.
      const whole = length - (length % DIRECT_ALIGNMENT);
      if (whole > 0) await writePages(between(parts, 0, whole), offset);
      if (whole < length) await writeWhole(file, between(parts, whole, length), offset + whole);
    },
    // Of the whole file, whichever way it was written, and of the device's own cache.
    flush: () => file.datasync(),
    async close() {
      await direct?.close();
      await file.close();
    },
  };
}

/** Writes all of it, in as many calls as the file wants. */
async function writeWhole(file: FileHandle, parts: readonly Buffer[], offset: number): Promise<void> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  for (let written = 0; written < length;) {
    const { bytesWritten } = await file.writev(between(parts, written, length), offset + written);
    written += bytesWritten;
  }
}

/** The bytes from `start` to `end` of parts that follow one another. */
function between(parts: readonly Buffer[], start: number, end: number): Buffer[] {
  const cut: Buffer[] = [];
  let at = 0;
  for (const part of parts) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, part.length)];
    if (from < to) cut.push(part.subarray(from, to));
    at += part.length;
  }
  return cut;
}
