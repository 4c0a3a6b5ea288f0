/**
 * Files of a guest that is off, read and written on its disk.
 *
 * Paths are absolute, as the guest sees them. Symbolic links on the way are followed inside the guest only;
 * `stat`, `readlink` and `remove` do not follow the last one, everything else does.
 */
export interface GuestFiles {
  /** Undefined where nothing is there. */
  stat(path: string): Promise<GuestFileStat | undefined>;
  /** Names in a directory, sorted, without "." and ".."; empty where there is no such directory. */
  list(path: string): Promise<string[]>;
  /** @throws GuestFileError where there is no such regular file, or it is larger than `maxBytes` */
  read(path: string, maxBytes: number): Promise<Buffer>;
  /**
   * The first bytes of a file, however large it is; fewer where it is shorter. Undefined where there is no way to read a part
   * of a file there.
   */
  readStart(path: string, bytes: number): Promise<Buffer | undefined>;
  readlink(path: string): Promise<string>;
  /** Copies a file to this host. @throws GuestFileError as {@link read} does */
  download(path: string, hostPath: string, maxBytes: number): Promise<void>;
  /**
   * Creates or replaces a file. Its directory must exist. Attributes that are not given are kept from the file that
   * is replaced; a new file belongs to root, with mode 0644.
   */
  write(path: string, content: Uint8Array, attributes?: Partial<GuestFileAttributes>): Promise<void>;
  /** {@link write}, with the content of a file on this host. */
  upload(hostPath: string, path: string, attributes?: Partial<GuestFileAttributes>): Promise<void>;
  /** Creates a directory with all that lead to it, root's, mode 0755; returns those that it created, outermost first. */
  mkdir(path: string): Promise<string[]>;
  symlink(path: string, target: string): Promise<void>;
  /** Removes a file, a symbolic link or an empty directory; succeeds where nothing is there. */
  remove(path: string): Promise<void>;
  /** The path without symbolic links; undefined where nothing is there. */
  realpath(path: string): Promise<string | undefined>;
  /** Room in the file system that holds the path. `fileSystem` tells one from another. */
  space(path: string): Promise<GuestFileSystemSpace>;
  /** Writes everything to the disk and gives it up. */
  close(): Promise<void>;
}

export interface GuestFileAttributes {
  /** Permission bits, such as 0o644. */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970. */
  modifiedAt: number;
  /** Set where nobody may change the file (chattr +i). */
  immutable?: boolean;
}

export interface GuestFileStat extends GuestFileAttributes {
  type: 'file' | 'directory' | 'symlink' | 'other';
  size: number;
}

export interface GuestFileSystemSpace {
  fileSystem: string;
  blockSize: number;
  freeBlocks: number;
  freeInodes: number;
}

/** A file of the guest that cannot be read or written as asked. */
export class GuestFileError extends Error {
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`${path} in the guest: ${problem}`);
    this.name = 'GuestFileError';
  }
}
