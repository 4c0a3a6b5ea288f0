import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DebugfsSession, type DebugfsProcesses } from './debugfs-session';
import { type FileSource, type GuestFileSystem } from './file-system';
import { isPlainName, nameOf, parentOf } from './guest-path';
import {
  GuestFileError,
  type GuestFileAttributes,
  type GuestFileStat,
  type GuestFileSystemSpace,
} from './port';

/** Most names that a directory may have here; the largest that is listed holds a few dozen. */
const MAX_NAMES = 20_000;
/** Longest target of a symbolic link that Linux takes. */
const MAX_LINK_BYTES = 4096;
/** The extended attribute with SELinux's label. */
const LABEL = 'security.selinux';

/**
 * One ext2, ext3 or ext4 file system by libext2fs' `debugfs`: no mount, no privileges beyond those on the disk.
 * Paths are those of this file system, normalized, and hold no symbolic links but for the last part.
 */
export class DebugfsFileSystem implements GuestFileSystem {
  private files = 0;
  /** Where the label of a directory is, for each that was asked for; undefined where it has none. */
  private readonly labels = new Map<string, string | undefined>();

  private constructor(
    private readonly session: DebugfsSession,
    private readonly directory: string,
    readonly device: string,
  ) {}

  static async open(
    diskPath: string,
    offset: number,
    writable: boolean,
    processes?: DebugfsProcesses,
  ): Promise<DebugfsFileSystem> {
    const device = deviceAt(diskPath, offset);
    const session = await DebugfsSession.open(device, writable, processes);
    return new DebugfsFileSystem(session, await mkdtemp(join(tmpdir(), 'lifeboat-guest-')), device);
  }

  async stat(path: string): Promise<GuestFileStat | undefined> {
    const { stdout, stderr } = await this.session.run([`stat "${path}"`]);
    if (/File not found by ext2_lookup|not a directory/i.test(stderr)) return undefined;
    if (stderr.trim() !== '') throw new GuestFileError(path, stderr.trim());
    return parseStat(stdout, path);
  }

  async readlink(path: string): Promise<string> {
    const { stdout, stderr } = await this.session.run([`stat "${path}"`]);
    if (stderr.trim() !== '') throw new GuestFileError(path, stderr.trim());
    const stat = parseStat(stdout, path);
    if (stat.type !== 'symlink') throw new GuestFileError(path, 'is no symbolic link');
    if (stat.size > MAX_LINK_BYTES) throw new GuestFileError(path, 'the symbolic link is too long');
    // Short targets are in the inode and printed with it, longer ones are in a block of their own.
    const target =
      /^Fast link dest: "(.*)"$/m.exec(stdout)?.[1] ?? (await this.content(path)).toString('latin1');
    if (target.length !== stat.size || !isPlainName(target)) {
      throw new GuestFileError(path, 'the symbolic link has a target that is not supported');
    }
    return target;
  }

  async list(path: string): Promise<string[]> {
    const { stdout, stderr } = await this.session.run([`ls -p "${path}"`]);
    if (stderr.trim() !== '') throw new GuestFileError(path, stderr.trim());
    const names: string[] = [];
    for (const line of stdout.split('\n')) {
      // /inode/mode/uid/gid/name/size/ — names that cannot be given back to debugfs are none of ours.
      const name = /^\/(?!0\/)\d+\/[0-7]+\/\d+\/\d+\/([^/]+)\/\d*\/$/.exec(line)?.[1];
      if (name !== undefined && name !== '.' && name !== '..' && isPlainName(name)) names.push(name);
    }
    if (names.length > MAX_NAMES) throw new GuestFileError(path, `has more than ${MAX_NAMES} entries`);
    return names.sort();
  }

  /** The whole file; the caller has checked its type and size. */
  async content(path: string): Promise<Buffer> {
    const hostPath = this.hostPath();
    try {
      await this.download(path, hostPath);
      return await readFile(hostPath);
    } finally {
      await rm(hostPath, { force: true });
    }
  }

  async download(path: string, hostPath: string): Promise<void> {
    await this.expectSilence(path, [`dump "${path}" "${hostPath}"`]);
  }

  async create(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    await this.write(path, source, attributes);
    await this.label(path);
  }

  /** debugfs writes no file that is there: it is made anew, with the extended attributes that it had. */
  async replace(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    const kept = await this.extendedAttributes(path);
    await this.remove(path, 'file');
    await this.write(path, source, attributes);
    for (const [name, hostPath] of kept) await this.setExtendedAttribute(path, name, hostPath);
  }

  private async write(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    const hostPath = 'hostPath' in source ? source.hostPath : this.hostPath();
    try {
      if (!('hostPath' in source)) await writeFile(hostPath, source, { mode: 0o600 });
      await this.expectSilence(path, [
        // Old versions take the second argument for a name in the working directory, whatever it looks like.
        `cd "${parentOf(path)}"`,
        `write "${hostPath}" "${nameOf(path)}"`,
        'cd "/"',
        ...setAttributes(path, 0o100000, attributes),
      ]);
      if (attributes.immutable === true) {
        const { stdout } = await this.session.run([`stat "${path}"`]);
        const flags = inodeFlags(stdout, path) | IMMUTABLE_FLAG;
        await this.expectSilence(path, [`sif "${path}" flags 0x${flags.toString(16)}`]);
      }
    } finally {
      if (!('hostPath' in source)) await rm(hostPath, { force: true });
    }
  }

  /** Names of a file's extended attributes (SELinux label, access control list, capabilities), each with a file of its value. */
  private async extendedAttributes(path: string): Promise<Map<string, string>> {
    const { stdout, stderr } = await this.session.run([`ea_list "${path}"`]);
    if (stderr.trim() !== '') throw new GuestFileError(path, stderr.trim());
    const found = new Map<string, string>();
    for (const [, name = ''] of stdout.matchAll(/^ {2}([\w.:-]{1,255}) \(\d+\)/gm)) {
      const hostPath = this.hostPath();
      await this.expectSilence(path, [`ea_get -r -f "${hostPath}" "${path}" ${name}`]);
      found.set(name, hostPath);
    }
    return found;
  }

  private async setExtendedAttribute(path: string, name: string, hostPath: string): Promise<void> {
    await this.expectSilence(path, [`ea_set -r -f "${hostPath}" "${path}" ${name}`]);
  }

  /**
   * Gives something new the SELinux label of its directory, as the guest's own kernel would do, where nothing else is said of
   * its kind. Without one, a guest that enforces lets nobody read it.
   */
  private async label(path: string): Promise<void> {
    const directory = parentOf(path);
    if (!this.labels.has(directory)) {
      const hostPath = this.hostPath();
      const { stderr } = await this.session.run([`ea_get -r -f "${hostPath}" "${directory}" ${LABEL}`]);
      this.labels.set(directory, stderr.trim() === '' ? hostPath : undefined);
    }
    const label = this.labels.get(directory);
    if (label !== undefined) await this.setExtendedAttribute(path, LABEL, label);
  }

  async mkdir(path: string, attributes: GuestFileAttributes): Promise<void> {
    await this.expectSilence(path, [`mkdir "${path}"`, ...setAttributes(path, 0o040000, attributes)]);
    await this.label(path);
  }

  async symlink(path: string, target: string): Promise<void> {
    await this.expectSilence(path, [
      `cd "${parentOf(path)}"`,
      `symlink "${nameOf(path)}" "${target}"`,
      'cd "/"',
    ]);
    await this.label(path);
  }

  async remove(path: string, type: GuestFileStat['type']): Promise<void> {
    await this.expectSilence(path, [`${type === 'directory' ? 'rmdir' : 'rm'} "${path}"`]);
  }

  async space(): Promise<GuestFileSystemSpace> {
    const { stdout } = await this.session.run(['stats -h']);
    const number = (label: string): number => {
      const value = new RegExp(`^${label}:\\s+(\\d+)$`, 'm').exec(stdout)?.[1];
      if (value === undefined) throw new Error(`debugfs does not say "${label}" of ${this.device}.`);
      return Number(value);
    };
    return {
      fileSystem: this.device,
      blockSize: number('Block size'),
      freeBlocks: number('Free blocks'),
      freeInodes: number('Free inodes'),
    };
  }

  async close(): Promise<void> {
    try {
      await this.session.close();
    } finally {
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  /** debugfs exits with 0 and goes on after errors; that it printed nothing on stderr is the only sign of success. */
  private async expectSilence(path: string, commands: string[]): Promise<void> {
    const { stderr } = await this.session.run(commands);
    if (stderr.trim() !== '') throw new GuestFileError(path, stderr.trim());
  }

  private hostPath(): string {
    return join(this.directory, String(++this.files));
  }
}

/** The name under which libext2fs opens a file system inside a disk. */
export function deviceAt(diskPath: string, offset: number): string {
  // libext2fs takes what follows a question mark for options.
  if (diskPath.includes('?')) throw new Error(`A disk's path may not hold a question mark: ${diskPath}`);
  return `${diskPath}?offset=${offset}`;
}

function setAttributes(path: string, type: number, attributes: GuestFileAttributes): string[] {
  const octal = (type | (attributes.mode & 0o7777)).toString(8);
  return [
    `sif "${path}" mode 0${octal}`,
    `sif "${path}" uid ${attributes.uid}`,
    `sif "${path}" gid ${attributes.gid}`,
    `sif "${path}" mtime @${attributes.modifiedAt}`,
  ];
}

const TYPES: Record<string, GuestFileStat['type']> = {
  regular: 'file',
  directory: 'directory',
  symlink: 'symlink',
};

/** EXT4_IMMUTABLE_FL of an inode ("Inode flags" in the kernel's documentation of ext4). */
const IMMUTABLE_FLAG = 0x10;

function inodeFlags(output: string, path: string): number {
  const flags = /\sFlags:\s+0x([0-9a-f]+)/.exec(output)?.[1];
  if (flags === undefined)
    throw new GuestFileError(path, 'debugfs describes it in a way that is not understood');
  return Number.parseInt(flags, 16);
}

function parseStat(output: string, path: string): GuestFileStat {
  const field = (pattern: RegExp): string => {
    const value = pattern.exec(output)?.[1];
    if (value === undefined)
      throw new GuestFileError(path, 'debugfs describes it in a way that is not understood');
    return value;
  };
  return {
    type: TYPES[field(/^Inode: \d+\s+Type: (\S+)/m)] ?? 'other',
    mode: Number.parseInt(field(/\sMode:\s+([0-7]+)/), 8),
    uid: Number(field(/^User:\s+(\d+)/m)),
    gid: Number(field(/\sGroup:\s+(\d+)/)),
    size: Number(field(/\sSize: (\d+)/)),
    modifiedAt: Number(field(/^\s*mtime: (0x[0-9a-f]+)/m)),
    ...((inodeFlags(output, path) & IMMUTABLE_FLAG) === 0 ? {} : { immutable: true }),
  };
}
