import { DebugfsFileSystem } from '../files/debugfs';
import { type FileSystemSource } from './system-mounts';

/** Whether a file system of this type, by libblkid's name, can be opened without an appliance. */
export function isPlain(type: string | undefined): boolean {
  return /^ext[234]$/.test(type ?? '');
}

/** A file system that begins somewhere on a disk. */
export interface PlainSource extends FileSystemSource {
  diskPath: string;
  /** In bytes from the start of the disk. */
  offset: number;
}

export function plainSource({ diskPath, offset }: { diskPath: string; offset: number }): PlainSource {
  return {
    key: `${offset} ${diskPath}`,
    diskPath,
    offset,
    open: (writable) => DebugfsFileSystem.open(diskPath, offset, writable),
  };
}
