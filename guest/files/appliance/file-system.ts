import { open, type FileHandle } from 'node:fs/promises';
import { type FileSource, type GuestFileSystem } from '../file-system';
import { isPlainName, parentOf } from '../guest-path';
import {
  GuestFileError,
  type GuestFileAttributes,
  type GuestFileStat,
  type GuestFileSystemSpace,
} from '../port';
import { type Appliance } from './appliance';
import { ApplianceError, printable } from './error';
import { type SettableAttributes } from './sftp-packet';
import { type ReadAt } from './sftp-transfer';

/** Most names that a directory may have here, and the longest target of a symbolic link: as for {@link DebugfsFileSystem}. */
const MAX_NAMES = 20_000;
const MAX_LINK_BYTES = 4096;
/** A program of the appliance that looks at, or sets, one file. */
const QUICK_SECONDS = 60;
const LABEL = 'security.selinux';

/** A file system of the guest that the appliance has mounted; paths are below the place where it has done so. */
export class ApplianceFileSystem implements GuestFileSystem {
  /** Labels of directories, which are asked for again and again; undefined where there is none. Ours have their parents'. */
  private readonly labels = new Map<string, string | undefined>();

  /**
   * @param root where the appliance has mounted it, or a directory of it (such as a subvolume)
   * @param name tells it from others in messages
   */
  constructor(
    private readonly appliance: Appliance,
    private readonly root: string,
    readonly name: string,
  ) {}

  stat(path: string): Promise<GuestFileStat | undefined> {
    return this.files.lstat(this.at(path));
  }

  async readlink(path: string): Promise<string> {
    const target = await this.files.readlink(this.at(path));
    if (target.length > MAX_LINK_BYTES || !isPlainName(target))
      throw new GuestFileError(path, 'the symbolic link has a target that is not supported');
    return target;
  }

  async list(path: string): Promise<string[]> {
    const names = await this.files.readdir(this.at(path), MAX_NAMES);
    // A name is one part of a path, whatever the appliance says.
    return names
      .filter((name) => name !== '.' && name !== '..' && isPlainName(name) && !name.includes('/'))
      .sort();
  }

  async content(path: string, maxBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    await this.files.read(this.at(path), maxBytes, (part) => {
      parts.push(Buffer.from(part));
      return Promise.resolve();
    });
    return Buffer.concat(parts);
  }

  start(path: string, bytes: number): Promise<Buffer> {
    return this.files.readStart(this.at(path), bytes);
  }

  async download(path: string, hostPath: string, maxBytes: number): Promise<void> {
    const file = await open(hostPath, 'wx', 0o600);
    try {
      await this.files.read(this.at(path), maxBytes, async (part) => {
        await file.writeFile(part);
      });
    } finally {
      await file.close();
    }
  }

  async create(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    await this.write(path, 'create', source, attributes);
    await this.label(path);
  }

  async replace(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    await this.write(path, 'replace', source, attributes);
  }

  async mkdir(path: string, attributes: GuestFileAttributes): Promise<void> {
    await this.files.mkdir(this.at(path), attributes.mode);
    await this.files.setstat(this.at(path), settable(attributes));
    await this.label(path);
    // What comes into it has the same; to ask takes a program's start each.
    this.labels.set(path, await this.labelOf(parentOf(path)));
  }

  async symlink(path: string, target: string): Promise<void> {
    await this.files.symlink(this.at(path), target);
    await this.label(path);
  }

  async remove(path: string, type: GuestFileStat['type']): Promise<void> {
    if (type === 'directory') await this.files.rmdir(this.at(path));
    else await this.files.remove(this.at(path));
  }

  async space(): Promise<GuestFileSystemSpace> {
    return { fileSystem: this.name, ...(await this.files.space(this.root)) };
  }

  /** It stays mounted for as long as the appliance runs; what was written is on the disk. */
  async close(): Promise<void> {
    const { exitCode } = await this.appliance.run(['/applets/sync'], QUICK_SECONDS);
    if (exitCode !== 0) throw new ApplianceError(`cannot write everything to ${this.name}`);
  }

  private get files() {
    return this.appliance.files;
  }

  private at(path: string): string {
    return path === '/' ? this.root : `${this.root}${path}`;
  }

  private async write(
    path: string,
    how: 'create' | 'replace',
    source: FileSource,
    attributes: GuestFileAttributes,
  ): Promise<void> {
    const at = this.at(path);
    const wanted = settable(attributes);
    const present = how === 'replace' ? await this.files.lstat(at) : undefined;
    // Setting an owner takes a program's rights away (setuid, capabilities), even where it is the same one.
    if (present?.uid === attributes.uid && present.gid === attributes.gid) delete wanted.owner;
    if (!('hostPath' in source)) {
      const part: ReadAt = (offset, length) => Promise.resolve(source.subarray(offset, offset + length));
      return this.files.write(at, how, part, wanted);
    }
    const file = await open(source.hostPath, 'r');
    try {
      await this.files.write(at, how, async (offset, length) => partOf(file, offset, length), wanted);
    } finally {
      await file.close();
    }
  }

  /**
   * Gives something new the SELinux label of its directory, as the guest's own kernel would do, where nothing else is said of
   * its kind. Without one, a guest that enforces lets nobody read it.
   */
  private async label(path: string): Promise<void> {
    const label = await this.labelOf(parentOf(path));
    if (label === undefined) return;
    const command = ['/bin/setfattr', '-h', '-n', LABEL, '-v', `0x${label}`, '--', this.at(path)];
    const { exitCode, stderr } = await this.appliance.run(command, QUICK_SECONDS);
    if (exitCode !== 0)
      throw new GuestFileError(path, `cannot be given a label: ${printable(stderr).trim()}`);
  }

  /** In hexadecimal. */
  private async labelOf(directory: string): Promise<string | undefined> {
    if (this.labels.has(directory)) return this.labels.get(directory);
    const command = [
      '/bin/getfattr',
      '-h',
      '--absolute-names',
      '-e',
      'hex',
      '-n',
      LABEL,
      '--',
      this.at(directory),
    ];
    const { stdout } = await this.appliance.run(command, QUICK_SECONDS);
    const label = new RegExp(`^${LABEL}=0x([0-9a-f]{2,8192})$`, 'm').exec(stdout)?.[1];
    this.labels.set(directory, label);
    return label;
  }
}

function settable({ uid, gid, mode, modifiedAt }: GuestFileAttributes): SettableAttributes {
  return { owner: { uid, gid }, mode, modifiedAt };
}

async function partOf(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
