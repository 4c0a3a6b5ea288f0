import { parentOf } from '../../files/guest-path';
import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';

/** Something that an adaptation does to the guest. Found by reading only; nothing is written before all are known. */
export type Change =
  | { kind: 'directory'; path: string }
  | { kind: 'added'; path: string; content: Buffer; mode: number }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'replaced'; path: string; original: Buffer; content: Buffer; immutable?: true }
  | { kind: 'aside'; path: string; original: Buffer; immutable?: true }
  /** A symbolic link that is taken away, or a file that takes its place. */
  | { kind: 'unlinked'; path: string; target: string; content?: Buffer }
  | { kind: 'initramfs'; path: string; originalBytes: number; segment: Buffer };

/** Configuration files are read whole; nothing that a person wrote is larger. */
const MAX_TEXT_BYTES = 1024 * 1024;

/** Collects what shall be changed. */
export class ChangePlan {
  private readonly planned = new Map<string, Change>();
  private readonly told = new Set<string>();

  constructor(private readonly files: GuestFiles) {}

  get changes(): Change[] {
    return [...this.planned.values()];
  }

  /** What was said by {@link warn}, each once. */
  get warnings(): string[] {
    return [...this.told];
  }

  /** Tells something that does not keep the guest from running, for the adaptation's report. */
  warn(sentence: string): void {
    this.told.add(sentence);
  }

  /** A text file as it will be; undefined where there is none. Latin-1, so that every byte is kept. */
  async text(path: string): Promise<string | undefined> {
    const planned = this.planned.get(path);
    if (planned !== undefined && 'content' in planned) return planned.content?.toString('latin1');
    if (planned !== undefined || (await this.files.realpath(path)) === undefined) return undefined;
    return (await this.files.read(path, MAX_TEXT_BYTES)).toString('latin1');
  }

  /** Changes a text file, where there is one. */
  async edit(path: string, change: (text: string) => string): Promise<void> {
    const text = await this.text(path);
    const changed = text === undefined ? undefined : change(text);
    if (changed === undefined || changed === text) return;
    const content = Buffer.from(changed, 'latin1');
    const original = await this.files.read(path, MAX_TEXT_BYTES);
    const immutable = await this.immutability(path);
    this.planned.set(path, { kind: 'replaced', path, original, content, ...immutable });
  }

  /** Adds a file that must not be there. */
  async add(path: string, content: string | Uint8Array, mode: number): Promise<void> {
    await this.expectNothing(path);
    await this.addDirectories(path);
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : Buffer.from(content);
    this.planned.set(path, { kind: 'added', path, content: bytes, mode });
  }

  /** Adds a symbolic link; one that is there with the same name stays. */
  async link(path: string, target: string): Promise<void> {
    if ((await this.files.stat(path)) !== undefined) return;
    await this.addDirectories(path);
    this.planned.set(path, { kind: 'link', path, target });
  }

  /** Takes a configuration file out of the guest's sight; it is kept for the way home. */
  async setAside(path: string): Promise<void> {
    // What the link leads to may be in use elsewhere.
    if ((await this.files.stat(path))?.type === 'symlink') return this.unlink(path);
    const original = await this.files.read(path, MAX_TEXT_BYTES);
    this.planned.set(path, { kind: 'aside', path, original, ...(await this.immutability(path)) });
  }

  /** Takes a symbolic link away until the way home; a file may take its place. */
  async unlink(path: string, content?: string): Promise<void> {
    const target = await this.files.readlink(path);
    const bytes = content === undefined ? {} : { content: Buffer.from(content, 'latin1') };
    this.planned.set(path, { kind: 'unlinked', path, target, ...bytes });
  }

  /** {@link setAside} for all files of a directory whose names match. */
  async setAsideAll(directory: string, names: RegExp): Promise<void> {
    for (const name of await this.files.list(directory)) {
      const path = `${directory}/${name}`;
      const type = names.test(name) ? (await this.files.stat(path))?.type : undefined;
      if (type === 'file' || type === 'symlink') await this.setAside(path);
    }
  }

  extendInitramfs(path: string, originalBytes: number, segment: Buffer): void {
    this.planned.set(path, { kind: 'initramfs', path, originalBytes, segment });
  }

  private async immutability(path: string): Promise<{ immutable?: true }> {
    const real = await this.files.realpath(path);
    const stat = real === undefined ? undefined : await this.files.stat(real);
    return stat?.immutable === true ? { immutable: true } : {};
  }

  private async expectNothing(path: string): Promise<void> {
    if ((await this.files.stat(path)) !== undefined) {
      throw new GuestNotAdaptableError(
        `The guest already has ${path}, a name that Lifeboat uses. Remove it from the guest.`,
      );
    }
  }

  private async addDirectories(path: string): Promise<void> {
    const missing: string[] = [];
    for (let at = parentOf(path); at !== '/' && !this.planned.has(at); at = parentOf(at)) {
      if ((await this.files.realpath(at)) !== undefined) break;
      missing.unshift(at);
    }
    for (const directory of missing) this.planned.set(directory, { kind: 'directory', path: directory });
  }
}
