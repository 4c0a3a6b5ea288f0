import { rm } from 'node:fs/promises';
import { type GuestFileSystem } from './file-system';
import { guestPath, parentOf, pathParts } from './guest-path';
import {
  GuestFileError,
  type GuestFileAttributes,
  type GuestFiles,
  type GuestFileStat,
  type GuestFileSystemSpace,
} from './port';

/** As many symbolic links as Linux follows in one path. */
const MAX_LINKS = 40;

export interface Mount {
  /** Where the guest mounts it; "/" for the root file system. */
  mountPoint: string;
  fileSystem: GuestFileSystem;
  /** The directory of the file system that is mounted there, where that is not its root: a bind mount. */
  directory?: string;
}

/** The guest's file systems put together as the guest mounts them. */
export class MountedFiles implements GuestFiles {
  /** Directories whose way is known to be free of symbolic links. */
  private readonly knownDirectories = new Set<string>(['/']);

  constructor(private readonly mounts: Mount[]) {}

  async stat(path: string): Promise<GuestFileStat | undefined> {
    const real = await this.resolve(path, 'last part as it is');
    return real === undefined ? undefined : this.statReal(real);
  }

  async list(path: string): Promise<string[]> {
    const real = await this.resolve(path, 'follow');
    if (real === undefined || (await this.statReal(real))?.type !== 'directory') return [];
    const { fileSystem, inner } = this.locate(real);
    return fileSystem.list(inner);
  }

  async read(path: string, maxBytes: number): Promise<Buffer> {
    const real = await this.regularFile(path, maxBytes);
    const { fileSystem, inner } = this.locate(real);
    return fileSystem.content(inner, maxBytes);
  }

  async readStart(path: string, bytes: number): Promise<Buffer | undefined> {
    const { fileSystem, inner } = this.locate(await this.regularFile(path, Number.MAX_SAFE_INTEGER));
    return fileSystem.start?.(inner, bytes);
  }

  async readlink(path: string): Promise<string> {
    const real = await this.resolve(path, 'last part as it is');
    if (real === undefined) throw new GuestFileError(path, 'is missing');
    const { fileSystem, inner } = this.locate(real);
    return fileSystem.readlink(inner);
  }

  async download(path: string, hostPath: string, maxBytes: number): Promise<void> {
    const real = await this.regularFile(path, maxBytes);
    // debugfs follows a link at the target; the caller's private directory has none, but say so by making it anew.
    await rm(hostPath, { force: true });
    const { fileSystem, inner } = this.locate(real);
    await fileSystem.download(inner, hostPath, maxBytes);
  }

  async write(
    path: string,
    content: Uint8Array,
    attributes: Partial<GuestFileAttributes> = {},
  ): Promise<void> {
    await this.put(path, content, attributes);
  }

  async upload(hostPath: string, path: string, attributes: Partial<GuestFileAttributes> = {}): Promise<void> {
    await this.put(path, { hostPath }, attributes);
  }

  async mkdir(path: string): Promise<string[]> {
    const created: string[] = [];
    let at = '';
    for (const part of pathParts(guestPath(path))) {
      at += `/${part}`;
      const real = await this.resolve(at, 'follow');
      if (real === undefined) {
        const parent = await this.resolve(parentOf(at), 'follow');
        if (parent === undefined || (await this.stat(at)) !== undefined) {
          throw new GuestFileError(at, 'a symbolic link to nowhere is where a directory is needed');
        }
        const { fileSystem, inner } = this.locate(join(parent, part));
        await fileSystem.mkdir(inner, { mode: 0o755, uid: 0, gid: 0, modifiedAt: now() });
        created.push(at);
      } else if ((await this.statReal(real))?.type !== 'directory') {
        throw new GuestFileError(at, 'is no directory');
      }
    }
    return created;
  }

  async symlink(path: string, target: string): Promise<void> {
    const { fileSystem, inner } = this.locate(await this.newPath(path));
    await fileSystem.symlink(inner, target);
  }

  async remove(path: string): Promise<void> {
    const real = await this.resolve(path, 'last part as it is');
    const stat = real === undefined ? undefined : await this.statReal(real);
    if (real === undefined || stat === undefined) return;
    this.knownDirectories.delete(real);
    const { fileSystem, inner } = this.locate(real);
    await fileSystem.remove(inner, stat.type);
  }

  async realpath(path: string): Promise<string | undefined> {
    return this.resolve(path, 'follow');
  }

  async space(path: string): Promise<GuestFileSystemSpace> {
    const real = (await this.resolve(path, 'follow')) ?? guestPath(path);
    return this.locate(real).fileSystem.space();
  }

  async close(): Promise<void> {
    // One that is mounted in two places is one all the same.
    const open = new Set(this.mounts.map((mount) => mount.fileSystem));
    const results = await Promise.allSettled([...open].map((fileSystem) => fileSystem.close()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  private async put(
    path: string,
    source: Uint8Array | { hostPath: string },
    attributes: Partial<GuestFileAttributes>,
  ): Promise<void> {
    const existing = await this.resolve(path, 'follow');
    const stat = existing === undefined ? undefined : await this.statReal(existing);
    if (stat !== undefined && stat.type !== 'file') throw new GuestFileError(path, 'is no regular file');
    const { fileSystem, inner } = this.locate(existing ?? (await this.newPath(path)));
    const { mode, uid, gid, immutable = false } = stat ?? { mode: 0o644, uid: 0, gid: 0 };
    const all = { mode, uid, gid, immutable, modifiedAt: now(), ...attributes };
    if (stat === undefined) await fileSystem.create(inner, source, all);
    else await fileSystem.replace(inner, source, all);
  }

  /** Where something new goes: its directory without symbolic links, and its name, which nothing has. */
  private async newPath(path: string): Promise<string> {
    const real = await this.resolve(path, 'last part as it is');
    if (real === undefined) throw new GuestFileError(path, 'its directory is missing');
    if ((await this.statReal(real)) !== undefined)
      throw new GuestFileError(path, 'exists, or is a symbolic link to nowhere');
    return real;
  }

  private async regularFile(path: string, maxBytes: number): Promise<string> {
    const real = await this.resolve(path, 'follow');
    const stat = real === undefined ? undefined : await this.statReal(real);
    if (real === undefined || stat === undefined) throw new GuestFileError(path, 'is missing');
    if (stat.type !== 'file') throw new GuestFileError(path, 'is no regular file');
    if (stat.size > maxBytes)
      throw new GuestFileError(path, `is larger than ${maxBytes} bytes, which is not believed`);
    return real;
  }

  /**
   * Follows symbolic links, always from the guest's own root. With 'last part as it is', the last part may be a
   * link or missing; with 'follow', what it leads to must exist.
   */
  private async resolve(path: string, last: 'follow' | 'last part as it is'): Promise<string | undefined> {
    let at = '/';
    let links = 0;
    // Not normalized beforehand: ".." after a symbolic link means the parent of what it leads to.
    guestPath(path);
    const rest = path.split('/').reverse();
    while (rest.length > 0) {
      const part = rest.pop();
      if (part === undefined || part === '' || part === '.') continue;
      if (part === '..') {
        at = parentOf(at);
        continue;
      }
      const next = join(at, part);
      const isLast = rest.every((one) => one === '' || one === '.');
      if (this.knownDirectories.has(next)) {
        at = next;
        continue;
      }
      if (isLast && last === 'last part as it is')
        return (await this.statReal(at))?.type === 'directory' ? next : undefined;
      const stat = await this.statReal(next);
      if (stat === undefined) return undefined;
      if (stat.type === 'symlink') {
        if (++links > MAX_LINKS) throw new GuestFileError(path, 'leads through too many symbolic links');
        const { fileSystem, inner } = this.locate(next);
        const target = await fileSystem.readlink(inner);
        if (target.startsWith('/')) at = '/';
        rest.push(...target.split('/').reverse());
        continue;
      }
      if (stat.type === 'directory') this.knownDirectories.add(next);
      else if (!isLast) return undefined;
      at = next;
    }
    return at;
  }

  private async statReal(real: string): Promise<GuestFileStat | undefined> {
    const { fileSystem, inner } = this.locate(real);
    return fileSystem.stat(inner);
  }

  private locate(real: string): { fileSystem: GuestFileSystem; inner: string } {
    let best: Mount | undefined;
    for (const mount of this.mounts) {
      const inside =
        mount.mountPoint === '/' || real === mount.mountPoint || real.startsWith(`${mount.mountPoint}/`);
      if (inside && mount.mountPoint.length > (best?.mountPoint.length ?? 0)) best = mount;
    }
    if (best === undefined) throw new GuestFileError(real, 'is on no known file system');
    const inner = best.mountPoint === '/' ? real : real.slice(best.mountPoint.length) || '/';
    const { fileSystem, directory = '' } = best;
    return { fileSystem, inner: inner === '/' ? directory || '/' : `${directory}${inner}` };
  }
}

function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
