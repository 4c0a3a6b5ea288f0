import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

/** Bytes at the start of a compressed archive. */
const COMPRESSIONS: { magic: string; decompress: (from: Readable) => Readable }[] = [
  { magic: '1f8b', decompress: (from) => from.pipe(createGunzip()) },
  { magic: '28b52ffd', decompress: (from) => from.pipe(createZstdDecompress()) },
  { magic: 'fd377a58', decompress: decompressXz },
];

/** An archive that grows beyond this is no initramfs. */
const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024;
/** The longest name of a module with its suffix, kept from one piece to the next. */
const OVERLAP = 300;
const HEADER_BYTES = 110;

/**
 * Which of the modules an initramfs on this host holds. It is not unpacked: names of files in an archive end with
 * a zero, which tells them from the lists of modules that are in it, too.
 * @returns undefined where it is compressed in a way that cannot be read here (LZ4, LZO, bzip2), or is damaged
 */
export async function driversIn(hostPath: string, modules: string[]): Promise<Set<string> | undefined> {
  const start = await endOfUncompressed(hostPath);
  const found = new Set<string>();
  const search = (text: string): void => {
    for (const name of modules) {
      const file = name.replace(/[_-]/g, '[_-]');
      if (!found.has(name) && new RegExp(`/${file}\\.ko(\\.[a-z]+)?\\0`).test(text)) found.add(name);
    }
  };
  // What is uncompressed is CPU microcode as a rule, but may be everything.
  if (start.offset > 0) await scan(createReadStream(hostPath, { end: start.offset - 1 }), search);
  if (start.magic === '') return found;
  const compression = COMPRESSIONS.find((one) => start.magic.startsWith(one.magic));
  if (compression === undefined) return undefined;
  try {
    const source = createReadStream(hostPath, { start: start.offset });
    await scan(compression.decompress(source), search);
  } catch {
    // Bytes after the end of an archive are an error to some decompressors; what was found until then counts.
    return modules.every((name) => found.has(name)) ? found : undefined;
  }
  return found;
}

async function scan(stream: Readable, search: (text: string) => void): Promise<void> {
  let carried = '';
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_UNPACKED_BYTES) throw new Error('The initramfs is too large.');
    const text = carried + chunk.toString('latin1');
    search(text);
    carried = text.slice(-OVERLAP);
  }
}

/** Walks over the uncompressed archives at the front; returns where the compressed part begins, and its first bytes. */
async function endOfUncompressed(hostPath: string): Promise<{ offset: number; magic: string }> {
  const file = await open(hostPath, 'r');
  try {
    const { size } = await file.stat();
    const read = async (at: number, length: number): Promise<Buffer> => {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await file.read(buffer, 0, length, at);
      return buffer.subarray(0, bytesRead);
    };
    let at = 0;
    for (;;) {
      if (at >= size) return { offset: size, magic: '' };
      const header = (await read(at, HEADER_BYTES)).toString('latin1');
      if (header.startsWith('070701') || header.startsWith('070702')) {
        const contentBytes = Number.parseInt(header.slice(54, 62), 16);
        const nameBytes = Number.parseInt(header.slice(94, 102), 16);
        if (!Number.isFinite(contentBytes + nameBytes)) return { offset: at, magic: 'damaged' };
        at = align(align(at + HEADER_BYTES + nameBytes) + contentBytes);
      } else if (header.startsWith('\0')) {
        const zeros = /^\0*/.exec((await read(at, 4096)).toString('latin1'))?.[0].length ?? 1;
        at += zeros;
      } else {
        return { offset: at, magic: Buffer.from(header, 'latin1').subarray(0, 8).toString('hex') };
      }
    }
  } finally {
    await file.close();
  }
}

function align(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}

function decompressXz(from: Readable): Readable {
  // The kernel's xz files have no padding rules of their own; the tool stops at the end of the stream.
  const child = spawn('xz', ['-dc', '--single-stream', '--memlimit=1GiB'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => from.destroy());
  child.on('error', (error) => child.stdout.destroy(error));
  from.pipe(child.stdin);
  return child.stdout;
}
