import { spawn } from 'node:child_process';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ToolMissingError } from '../../../host/run-tool';
import { toolEnvironment } from '../../../host/tool-environment';

/** Each piece goes to a thread and back: large ones make that cheap. */
const CHUNK_BYTES = 1024 * 1024;
/** The tools stop here rather than take a proxy's memory; distributions' own images need 64 MiB at most. */
const XZ_MEMORY = '--memlimit=1GiB';

/**
 * What the kernel unpacks an initramfs with (lib/decompress.c), by the bytes that it begins with. Kernels take the
 * "legacy" form of LZ4 only.
 */
const COMPRESSIONS: { magic: string; name: string; decompress: (from: Readable) => Readable }[] = [
  {
    magic: '1f8b',
    name: 'gzip',
    decompress: (from) => through(from, createGunzip({ chunkSize: CHUNK_BYTES })),
  },
  {
    magic: '28b52ffd',
    name: 'zstd',
    decompress: (from) => through(from, createZstdDecompress({ chunkSize: CHUNK_BYTES })),
  },
  { magic: 'fd377a585a00', name: 'xz', decompress: tool('xz', ['-dc', '--single-stream', XZ_MEMORY]) },
  { magic: '5d0000', name: 'lzma', decompress: tool('xz', ['-dc', '--format=lzma', XZ_MEMORY]) },
  { magic: '02214c18', name: 'lz4', decompress: tool('lz4', ['-dc']) },
  { magic: '425a68', name: 'bzip2', decompress: tool('bzip2', ['-dc']) },
  { magic: '894c5a4f', name: 'lzo', decompress: tool('lzop', ['-dc']) },
];

export interface Compression {
  name: string;
  /**
   * The stream fails where the data is damaged, or goes on with something else behind its end.
   * @throws ToolMissingError, in the stream, where this host lacks the program
   */
  decompress: (from: Readable) => Readable;
}

/** @param start the first bytes; undefined where nothing that a kernel can unpack begins so */
export function compressionOf(start: Buffer): Compression | undefined {
  const hex = start.toString('hex');
  return COMPRESSIONS.find(({ magic }) => hex.startsWith(magic));
}

function through(from: Readable, transform: NodeJS.ReadWriteStream & Readable): Readable {
  pipeline(from, transform, () => undefined);
  return transform;
}

function tool(program: string, args: string[]): (from: Readable) => Readable {
  return (from) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'], env: toolEnvironment() });
    const { stdin, stdout } = child;
    // A program that ends before it has read its input is judged by its exit code, not by the broken pipe.
    stdin.on('error', () => from.destroy());
    from.on('error', (error) => stdout.destroy(error));
    child.on('error', (error: NodeJS.ErrnoException) =>
      stdout.destroy(error.code === 'ENOENT' ? new ToolMissingError(program) : error),
    );
    // Whoever reads no further needs no more of it.
    stdout.on('close', () => {
      from.destroy();
      child.kill('SIGKILL');
    });
    from.pipe(stdin);
    return stdout;
  };
}
