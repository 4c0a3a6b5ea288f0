import { readFile, writeFile } from 'node:fs/promises';
import { type FileSource, type GuestFileSystem } from '../../guest/files/file-system';
import { isPlainName, nameOf, parentOf } from '../../guest/files/guest-path';
import {
  GuestFileError,
  type GuestFileAttributes,
  type GuestFileStat,
  type GuestFileSystemSpace,
} from '../../guest/files/port';
import { type Tree } from '../unit/guest-fixture';

type Node = { attributes: GuestFileAttributes } & (
  { type: 'file'; content: Buffer } | { type: 'symlink'; target: string } | { type: 'directory' }
);

/** A guest's file system in memory: for guests by the thousand, where how a file is stored does not matter. */
export class MemoryFileSystem implements GuestFileSystem {
  private readonly nodes = new Map<string, Node>();

  constructor(tree: Tree) {
    const owned = { uid: 0, gid: 0, mode: 0o644, modifiedAt: 1 };
    this.nodes.set('/', { type: 'directory', attributes: { ...owned, mode: 0o755 } });
    for (const [name, value] of Object.entries(tree)) {
      for (let at = parentOf(`/${name}`); at !== '/'; at = parentOf(at))
        this.nodes.set(at, { type: 'directory', attributes: { ...owned, mode: 0o755 } });
      const node: Node =
        typeof value === 'object' && 'link' in value
          ? { type: 'symlink', target: value.link, attributes: owned }
          : { type: 'file', content: Buffer.from(value as Uint8Array), attributes: owned };
      this.nodes.set(`/${name}`, node);
    }
  }

  /** Everything in it, for comparison. */
  get listing(): Record<string, string> {
    const shown = ([path, node]: [string, Node]): [string, string] => [
      path,
      `${node.type} ${node.attributes.mode.toString(8)} ${node.type === 'file' ? node.content.toString('latin1') : node.type === 'symlink' ? node.target : ''}`,
    ];
    return Object.fromEntries([...this.nodes].map(shown).sort());
  }

  stat(path: string): Promise<GuestFileStat | undefined> {
    const node = this.nodes.get(path);
    if (node === undefined) return Promise.resolve(undefined);
    const size = node.type === 'file' ? node.content.length : 0;
    return Promise.resolve({ ...node.attributes, type: node.type, size });
  }

  readlink(path: string): Promise<string> {
    const node = this.nodes.get(path);
    if (node?.type !== 'symlink' || !isPlainName(node.target))
      return Promise.reject(new GuestFileError(path, 'the symbolic link has a target that is not supported'));
    return Promise.resolve(node.target);
  }

  list(path: string): Promise<string[]> {
    const names = [...this.nodes.keys()].filter((one) => one !== '/' && parentOf(one) === path).map(nameOf);
    return Promise.resolve(names.filter(isPlainName).sort());
  }

  content(path: string, maxBytes: number): Promise<Buffer> {
    const node = this.nodes.get(path);
    if (node?.type !== 'file' || node.content.length > maxBytes)
      return Promise.reject(new GuestFileError(path, `is no file, or larger than ${maxBytes} bytes`));
    return Promise.resolve(node.content);
  }

  async download(path: string, hostPath: string, maxBytes: number): Promise<void> {
    await writeFile(hostPath, await this.content(path, maxBytes), { flag: 'wx' });
  }

  async create(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    if (this.nodes.has(path) || this.nodes.get(parentOf(path))?.type !== 'directory')
      throw new GuestFileError(path, 'cannot be created');
    await this.put(path, source, attributes);
  }

  async replace(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    if (this.nodes.get(path)?.type !== 'file') throw new GuestFileError(path, 'cannot be replaced');
    await this.put(path, source, attributes);
  }

  mkdir(path: string, attributes: GuestFileAttributes): Promise<void> {
    this.nodes.set(path, { type: 'directory', attributes });
    return Promise.resolve();
  }

  symlink(path: string, target: string): Promise<void> {
    if (this.nodes.has(path)) return Promise.reject(new GuestFileError(path, 'is there'));
    const attributes = { uid: 0, gid: 0, mode: 0o777, modifiedAt: 1 };
    this.nodes.set(path, { type: 'symlink', target, attributes: { ...attributes, mode: 0o644 } });
    return Promise.resolve();
  }

  async remove(path: string, type: GuestFileStat['type']): Promise<void> {
    if (type === 'directory' && (await this.list(path)).length > 0)
      throw new GuestFileError(path, 'is not empty');
    this.nodes.delete(path);
  }

  space(): Promise<GuestFileSystemSpace> {
    return Promise.resolve({ fileSystem: 'memory', blockSize: 4096, freeBlocks: 1e6, freeInodes: 1e6 });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async put(path: string, source: FileSource, attributes: GuestFileAttributes): Promise<void> {
    const content = 'hostPath' in source ? await readFile(source.hostPath) : Buffer.from(source);
    this.nodes.set(path, { type: 'file', content, attributes });
  }
}
