import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { ToolMissingError } from '../../../host/run-tool';
import { compressionOf } from './compression';
import { ArchiveDamagedError, CpioReader, type ArchiveEntryType } from './cpio-reader';

/** An archive that grows beyond this is no initramfs: it would not fit a machine's memory beside itself. */
const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024;
/** Unpacking 2 GiB takes about 20 s on one slow core. */
const MAX_UNPACK_MS = 120_000;
/** As many symbolic links as Linux follows in one path. */
const MAX_LINKS = 40;

interface Entry {
  type: ArchiveEntryType;
  content: string | undefined;
}

/**
 * What an initramfs holds: names, types and links of its files, and the content of small ones that decide how it
 * behaves. It is never unpacked to a disk.
 */
export class InitramfsImage {
  private constructor(private readonly entries: Map<string, Entry>) {}

  /**
   * @param hostPath a copy on this host
   * @param wanted files whose content is kept, as text
   * @throws ArchiveDamagedError where a kernel could not unpack it
   * @throws ToolMissingError where this host has no program for its compression
   */
  static async read(hostPath: string, wanted: (path: string) => boolean): Promise<InitramfsImage> {
    const entries = new Map<string, Entry>();
    const reader = (): CpioReader =>
      // What comes later lies over what came before, as it does in the kernel.
      new CpioReader(wanted, ({ path, ...entry }) => entries.set(path, entry));
    const outer = reader();
    const compressedAt = await readUncompressed(hostPath, outer);
    if (compressedAt === undefined) {
      if (!outer.isComplete) throw new ArchiveDamagedError(outer.isEmpty ? 'it is empty' : 'it is cut off');
    } else {
      await readCompressed(hostPath, compressedAt, reader());
    }
    return new InitramfsImage(entries);
  }

  /** Type of what is at a path, symbolic links followed; undefined where nothing is. */
  typeOf(path: string): ArchiveEntryType | undefined {
    const real = this.realpath(path);
    return real === undefined ? undefined : this.lookUp(real)?.type;
  }

  has(path: string): boolean {
    return this.typeOf(path) !== undefined;
  }

  /** Where a path leads inside of the image; undefined where it leads nowhere. Without a leading "/". */
  realpath(path: string): string | undefined {
    const rest = path.split('/').reverse();
    let at = '';
    let links = 0;
    while (rest.length > 0) {
      const part = rest.pop();
      if (part === undefined || part === '' || part === '.') continue;
      if (part === '..') {
        at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
        continue;
      }
      const next = at === '' ? part : `${at}/${part}`;
      const entry = this.lookUp(next);
      if (entry === undefined) return undefined;
      if (entry.type === 'symlink') {
        if (++links > MAX_LINKS) return undefined;
        const target = entry.content ?? '';
        if (target.startsWith('/')) at = '';
        rest.push(...target.split('/').reverse());
        continue;
      }
      at = next;
    }
    return at;
  }

  /** Whether something is at exactly this path, be it a link to nowhere. */
  hasEntry(path: string): boolean {
    return this.lookUp(path) !== undefined;
  }

  /** Content of a file that was wanted when the image was read. */
  text(path: string): string | undefined {
    const real = this.realpath(path);
    return real === undefined ? undefined : this.lookUp(real)?.content;
  }

  /** Paths of all that was wanted. */
  get texts(): string[] {
    return [...this.entries]
      .filter(([, one]) => one.type === 'file' && one.content !== undefined)
      .map(([path]) => path);
  }

  /** Names of kernel modules in it, as the kernel names them. */
  get modules(): Set<string> {
    const names = new Set<string>();
    for (const [path, { type }] of this.entries) {
      const name = /(?:^|\/)([^/]+)\.ko(?:\.\w+)?$/.exec(path)?.[1];
      if (name !== undefined && type === 'file') names.add(name.replaceAll('-', '_'));
    }
    return names;
  }

  private lookUp(path: string): Entry | undefined {
    return this.entries.get(path);
  }
}

/** CPU microcode as a rule, on Ubuntu also modules and firmware, and now and then everything. */
async function readUncompressed(hostPath: string, reader: CpioReader): Promise<number | undefined> {
  for await (const piece of createReadStream(hostPath) as AsyncIterable<Buffer>) {
    if (reader.push(piece) < piece.length) return reader.consumed;
  }
  return undefined;
}

async function readCompressed(hostPath: string, start: number, reader: CpioReader): Promise<void> {
  const compression = compressionOf(await firstBytes(hostPath, start));
  if (compression === undefined)
    throw new ArchiveDamagedError('it is compressed in a way that no kernel unpacks');
  const deadline = Date.now() + MAX_UNPACK_MS;
  let bytes = 0;
  try {
    for await (const piece of compression.decompress(
      createReadStream(hostPath, { start }),
    ) as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MAX_UNPACKED_BYTES)
        throw new ArchiveDamagedError(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
      if (Date.now() > deadline)
        throw new ArchiveDamagedError(`unpacking it takes more than ${MAX_UNPACK_MS / 1000} s`);
      if (reader.push(piece) < piece.length)
        throw new ArchiveDamagedError('what is compressed in it is no archive');
    }
  } catch (error) {
    if (error instanceof ArchiveDamagedError || error instanceof ToolMissingError) throw error;
    // What follows the end of the compressed part is an error to some decompressors, and the kernel goes on with it.
    if (!reader.isComplete) throw new ArchiveDamagedError(`its ${compression.name} data is damaged`);
    return;
  }
  if (!reader.isComplete) throw new ArchiveDamagedError('it is cut off');
}

async function firstBytes(hostPath: string, at: number): Promise<Buffer> {
  const file = await open(hostPath, 'r');
  try {
    const buffer = Buffer.alloc(8);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
