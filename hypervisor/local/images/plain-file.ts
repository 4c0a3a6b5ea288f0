import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { DiskImageError } from './image-error';

/** Without O_NONBLOCK, a pipe would hold this process up. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a file for reading; no link, device or pipe.
 * @throws DiskImageError
 */
export async function openPlainFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, FLAGS);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP')
      throw new DiskImageError(path, 'it is a symbolic link', "Put the file itself into the VM's directory");
    if (code === 'ENOENT')
      throw new DiskImageError(path, 'there is no such file', "Copy it into the VM's directory");
    throw error;
  }
  if (!(await file.stat()).isFile()) {
    await file.close();
    throw new DiskImageError(path, 'it is no plain file', "Put the disk's file into the VM's directory");
  }
  return file;
}

/** Opens a file that was listed as a plain one; undefined where it is gone, or another thing by now. */
export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, FLAGS);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP') return undefined;
    throw error;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}

/** As many bytes from `offset` as there are, at most `length`. */
export async function readBytes(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
