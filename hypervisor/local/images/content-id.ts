import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type CheckedImage } from './checked-image';
import { DiskImageError } from './image-error';
import { readBytes } from './plain-file';
import { type DiskImage } from '../vm-files';

/**
 * A VMDK's CID says which contents it has: a delta or a linked clone, wherever it lies, names that of the disk it builds
 * on. Whoever opens a disk for writing gives it a new one, so that none is taken to fit that does not. QEMU does that for
 * a disk whose descriptor is in its own file; a descriptor of its own it does not get to see (qemu-image.ts).
 */

/** Ids stand before the extents; far more than a descriptor has before those. */
const SEARCHED_BYTES = 64 * 1024;

/**
 * Called before anything is written to an image.
 * @throws DiskImageError where the image can only be read
 */
export async function prepareForWriting(
  { path }: DiskImage,
  { readOnly, parts }: CheckedImage,
): Promise<void> {
  if (readOnly) throw new DiskImageError(path, readOnly.reason, readOnly.advice);
  if (parts === undefined) return;
  const file = await open(path, 'r+');
  try {
    const text = (await readBytes(file, 0, SEARCHED_BYTES)).toString('latin1');
    const line = /^([ \t]*CID[ \t]*=[ \t]*"?)([0-9a-f]{1,8})\b/im.exec(text);
    if (!line) return; // without an id, no delta can name it
    const [, before = '', old = ''] = line;
    const next = newId().slice(-old.length);
    await file.write(next, line.index + before.length, 'latin1');
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Never fffffffe or ffffffff, which stand for a new disk, and for none. */
function newId(): string {
  return `0${randomBytes(4).toString('hex').slice(1)}`;
}
