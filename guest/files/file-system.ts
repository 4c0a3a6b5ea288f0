import { type GuestFileAttributes, type GuestFileStat, type GuestFileSystemSpace } from './port';

/** Content for a file of the guest: bytes, or a file of this host. */
export type FileSource = Uint8Array | { hostPath: string };

/**
 * One file system of a guest, opened. Paths are those of this file system, normalized, and hold no symbolic links but for
 * the last part, which nothing here follows: it does not know where the guest mounts it, so {@link MountedFiles} does that.
 */
export interface GuestFileSystem {
  /** Undefined where nothing is there. */
  stat(path: string): Promise<GuestFileStat | undefined>;
  readlink(path: string): Promise<string>;
  /** Names in a directory, sorted, without "." and ".."; those that no path here may hold are left out. */
  list(path: string): Promise<string[]>;
  /** The whole file. @throws GuestFileError where it is larger than `maxBytes` */
  content(path: string, maxBytes: number): Promise<Buffer>;
  /** The first bytes of a file, however large it is. Absent where there is no way to read a part of a file. */
  start?(path: string, bytes: number): Promise<Buffer>;
  /** Copies a file to a path of this host where nothing is. @throws GuestFileError as {@link content} does */
  download(path: string, hostPath: string, maxBytes: number): Promise<void>;
  /** Creates a file where none is, with its directory's SELinux label, if it has one: who runs the guest reads it then. */
  create(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void>;
  /** Gives an existing file other content. What else belongs to it stays: SELinux label, access control list. */
  replace(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void>;
  /** Labelled as {@link create} does. */
  mkdir(path: string, attributes: GuestFileAttributes): Promise<void>;
  symlink(path: string, target: string): Promise<void>;
  /** Removes what {@link stat} has found to be of this type; a directory must be empty. */
  remove(path: string, type: GuestFileStat['type']): Promise<void>;
  space(): Promise<GuestFileSystemSpace>;
  /** Writes everything to the disk and gives it up. */
  close(): Promise<void>;
}
