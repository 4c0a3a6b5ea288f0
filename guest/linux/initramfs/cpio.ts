/** A file, directory or symbolic link of an initramfs segment. */
export interface CpioEntry {
  /** Without a leading "/". */
  path: string;
  /** With the type bits of stat(2). */
  mode: number;
  content: Uint8Array;
}

export const CPIO_DIRECTORY = 0o040755;
export const CPIO_FILE = 0o100644;
export const CPIO_LINK = 0o120777;

const TRAILER = 'TRAILER!!!';

/**
 * Writes a cpio archive in the "newc" form that the kernel unpacks (Documentation/driver-api/early-userspace):
 * a header of 110 bytes in hex, the name and the content, each padded to four bytes. Owner root, time 0, so that equal
 * content gives equal bytes.
 */
export function cpioArchive(entries: CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => parts.push(...record(entry, index + 1)));
  parts.push(...record({ path: TRAILER, mode: 0, content: new Uint8Array() }, 0));
  return Buffer.concat(parts);
}

function record(entry: CpioEntry, inode: number): Uint8Array[] {
  const name = Buffer.from(`${entry.path}\0`, 'latin1');
  const links = (entry.mode & 0o170000) === 0o040000 ? 2 : 1;
  const fields = [
    inode,
    entry.mode,
    0, // uid
    0, // gid
    links,
    0, // mtime
    entry.content.length,
    0, // device of the file, major and minor
    0,
    0, // device that the file is, major and minor
    0,
    name.length,
    0, // checksum, unused in this form
  ];
  const header = Buffer.from(
    `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`,
    'latin1',
  );
  return [
    header,
    name,
    padding(header.length + name.length, 4),
    entry.content,
    padding(entry.content.length, 4),
  ];
}

/** Zeros up to the next multiple of `unit`. */
export function padding(length: number, unit: number): Uint8Array {
  return new Uint8Array((unit - (length % unit)) % unit);
}
