import { DebugfsFileSystem } from '../files/debugfs';
import { type DebugfsProcesses } from '../files/debugfs-session';
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

/** @param debugfs what opens it; a process of its own each time where absent */
export function plainSource(
  { diskPath, offset }: { diskPath: string; offset: number },
  debugfs?: DebugfsProcesses,
): PlainSource {
  return {
    key: `${offset} ${diskPath}`,
    diskPath,
    offset,
    open: (writable) => DebugfsFileSystem.open(diskPath, offset, writable, debugfs),
  };
}
