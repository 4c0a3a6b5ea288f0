import { existsSync, lstatSync, readdirSync } from 'node:fs';
import {
  copyFile,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  rmdir,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { GuestFileError, type GuestFiles, type GuestFileStat } from '../../guest/files/port';

/** A directory of this host as a guest's file system, which ignores the case of names: what NTFS is to the code that prepares Windows. */
export class HostDirectoryFiles implements GuestFiles {
  constructor(private readonly root: string) {}

  async stat(path: string): Promise<GuestFileStat | undefined> {
    const found = await lstat(this.at(path)).catch(() => undefined);
    if (found === undefined) return undefined;
    const type = found.isFile()
      ? 'file'
      : found.isDirectory()
        ? 'directory'
        : found.isSymbolicLink()
          ? 'symlink'
          : 'other';
    const { size, mode, uid, gid, mtimeMs } = found;
    return { type, size, mode: mode & 0o7777, uid, gid, modifiedAt: Math.floor(mtimeMs / 1000) };
  }

  async list(path: string): Promise<string[]> {
    return (await readdir(this.at(path)).catch(() => [])).sort();
  }

  async read(path: string, maxBytes: number): Promise<Buffer> {
    await this.expectFile(path, maxBytes);
    return readFile(this.at(path));
  }

  async readStart(path: string, bytes: number): Promise<Buffer> {
    const file = await open(this.at(path));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  readlink(path: string): Promise<string> {
    return readlink(this.at(path));
  }

  async download(path: string, hostPath: string, maxBytes: number): Promise<void> {
    await this.expectFile(path, maxBytes);
    await copyFile(this.at(path), hostPath);
  }

  async write(path: string, content: Uint8Array): Promise<void> {
    await writeFile(this.at(path), content);
  }

  async upload(hostPath: string, path: string): Promise<void> {
    await copyFile(hostPath, this.at(path));
  }

  async mkdir(path: string): Promise<string[]> {
    const first = await mkdir(this.at(path), { recursive: true });
    return first === undefined ? [] : [first];
  }

  async symlink(path: string, target: string): Promise<void> {
    await symlink(target, this.at(path));
  }

  async remove(path: string): Promise<void> {
    const stat = await this.stat(path);
    if (stat?.type === 'directory') await rmdir(this.at(path));
    else await rm(this.at(path), { force: true });
  }

  async realpath(path: string): Promise<string | undefined> {
    return (await this.stat(path)) === undefined ? undefined : path;
  }

  async space(path: string): ReturnType<GuestFiles['space']> {
    const { bsize, bavail, ffree } = await statfs(this.at('/'));
    return {
      fileSystem: path === '' ? '' : this.root,
      blockSize: bsize,
      freeBlocks: bavail,
      freeInodes: ffree,
    };
  }

  async close(): Promise<void> {}

  private at(path: string): string {
    let at = this.root;
    for (const part of path.split('/').filter(Boolean)) {
      const names = existsSync(at) && lstatSync(at).isDirectory() ? readdirSync(at) : [];
      at = join(at, names.find((name) => name.toLowerCase() === part.toLowerCase()) ?? part);
    }
    return at;
  }

  private async expectFile(path: string, maxBytes: number): Promise<void> {
    const stat = await this.stat(path);
    if (stat?.type !== 'file') throw new GuestFileError(path, 'is no regular file');
    if (stat.size > maxBytes) throw new GuestFileError(path, `is larger than ${maxBytes} bytes`);
  }
}
