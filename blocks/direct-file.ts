import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/**
 * Opens a file or device a second time, past the page cache. Bulk data that nobody reads again only drives out of the
 * cache what is needed there, and its pages cost more CPU than the transfer (docs/decisions/0009).
 * @returns undefined where the file system, or the FUSE server behind it, has no O_DIRECT
 */
export async function openDirect(path: string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags | constants.O_DIRECT);
  } catch (error) {
    if (isNotSupported(error)) return undefined;
    throw error;
  }
}

/** What kernels answer to a flag or a request that this file does not have. */
export function isNotSupported(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'EINVAL' || code === 'EOPNOTSUPP' || code === 'ENOTSUP';
}
