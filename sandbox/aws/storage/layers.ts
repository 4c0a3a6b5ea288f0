import { mkdirSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_SIZE, DIGEST_LENGTH, isZero, ZERO_DIGEST } from './block';

interface OpenLayer {
  data: FileHandle;
  sums: FileHandle;
}

interface Layer {
  /** Digest of every block that the layer holds, at 32 × index; zeros where it holds none. */
  digests: Buffer;
  files?: Promise<OpenLayer>;
  /** Operations under way; the files are closed when the last has ended. */
  uses: number;
  doomed: boolean;
  /** Made by this process: no other one can have left a block without its digest. */
  fresh: boolean;
  /** Blocks being written: a second write of one waits, so that block and digest are of the same write. */
  writing: Map<number, Promise<void>>;
}

const NO_DIGEST = Buffer.alloc(DIGEST_LENGTH);

/**
 * Layers: the blocks that one snapshot added. A layer is a sparse file with every block at its own offset, and a
 * file of digests. A block is written before its digest, so one with a digest is whole, whenever the process dies.
 */
export class LayerStore {
  private readonly layers = new Map<string, Layer>();

  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true });
    for (const name of readdirSync(directory))
      if (name.endsWith('.sums')) {
        const digests = readFileSync(join(directory, name));
        this.layers.set(name.slice(0, -'.sums'.length), {
          digests,
          uses: 0,
          doomed: false,
          fresh: false,
          writing: new Map(),
        });
      }
  }

  ids(): string[] {
    return [...this.layers.keys()];
  }

  /** Digest of a block, as a view that must not be changed; undefined where the layer does not hold the block. */
  digest(id: string, index: number): Buffer | undefined {
    const layer = this.layers.get(id);
    return layer === undefined ? undefined : digestOf(layer, index);
  }

  /** Indices of the blocks that the layer holds, ascending. */
  blocks(id: string): number[] {
    const layer = this.layers.get(id);
    const count = Math.floor((layer?.digests.length ?? 0) / DIGEST_LENGTH);
    const indices: number[] = [];
    for (let index = 0; index < count; index++)
      // A TiB has two million blocks, most of which a layer does not hold: their digests' first bytes tell enough.
      if (layer!.digests.readInt32LE(index * DIGEST_LENGTH) !== 0 || digestOf(layer!, index) !== undefined)
        indices.push(index);
    return indices;
  }

  /** Writes a block, creating the layer with its first one. `digest` is the block's SHA-256. */
  async write(id: string, index: number, block: Buffer, digest: Buffer): Promise<void> {
    await this.using(id, true, async (layer, files) => {
      for (let other = layer.writing.get(index); other !== undefined; other = layer.writing.get(index))
        await other.catch(() => {}); // its own caller gets the error
      const write = writeBlock(layer, files, index, block, digest);
      layer.writing.set(index, write);
      try {
        await write;
      } finally {
        layer.writing.delete(index);
      }
    });
  }

  /** Fills `into` (BLOCK_SIZE bytes) with a block that the layer holds. */
  async read(id: string, index: number, into: Buffer): Promise<void> {
    await this.using(id, false, async (_layer, { data }) => {
      const { bytesRead } = await data.read(into, 0, BLOCK_SIZE, index * BLOCK_SIZE);
      into.fill(0, bytesRead);
    });
  }

  /** Removes a layer. Reads under way still end well. */
  delete(id: string): void {
    const layer = this.layers.get(id);
    if (layer === undefined) return;
    this.layers.delete(id);
    layer.doomed = true;
    for (const path of Object.values(this.paths(id))) rmSync(path, { force: true });
    if (layer.uses === 0) void close(layer);
  }

  async close(): Promise<void> {
    await Promise.all([...this.layers.values()].map(close));
  }

  private async using<R>(
    id: string,
    create: boolean,
    use: (layer: Layer, files: OpenLayer) => Promise<R>,
  ): Promise<R> {
    let layer = this.layers.get(id);
    if (layer === undefined) {
      if (!create) throw new Error(`there is no layer ${id}`);
      layer = { digests: Buffer.alloc(0), uses: 0, doomed: false, fresh: true, writing: new Map() };
      this.layers.set(id, layer);
    }
    layer.uses++;
    try {
      layer.files ??= this.openFiles(id);
      return await use(layer, await layer.files);
    } finally {
      layer.uses--;
      if (layer.doomed && layer.uses === 0) await close(layer);
    }
  }

  private async openFiles(id: string): Promise<OpenLayer> {
    const paths = this.paths(id);
    return { data: await openOrCreate(paths.data), sums: await openOrCreate(paths.sums) };
  }

  private paths(id: string): { data: string; sums: string } {
    return { data: join(this.directory, `${id}.data`), sums: join(this.directory, `${id}.sums`) };
  }
}

function digestOf(layer: Layer, index: number): Buffer | undefined {
  const digest = layer.digests.subarray(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH);
  return digest.length < DIGEST_LENGTH || digest.equals(NO_DIGEST) ? undefined : digest;
}

async function writeBlock(
  layer: Layer,
  { data, sums }: OpenLayer,
  index: number,
  block: Buffer,
  digest: Buffer,
): Promise<void> {
  const offset = index * BLOCK_SIZE;
  // Zeros need no space, unless something else was written there before.
  const untouched = layer.fresh && digestOf(layer, index) === undefined;
  if (!digest.equals(ZERO_DIGEST) || !(untouched || (await isHole(data, offset))))
    await data.write(block, 0, BLOCK_SIZE, offset);
  // Synchronous, for 32 bytes into the page cache take less than a turn of the thread pool.
  writeSync(sums.fd, digest, 0, DIGEST_LENGTH, index * DIGEST_LENGTH);
  const end = (index + 1) * DIGEST_LENGTH;
  if (layer.digests.length < end) {
    const grown = Buffer.alloc(Math.max(end, layer.digests.length * 2));
    layer.digests.copy(grown);
    layer.digests = grown;
  }
  digest.copy(layer.digests, index * DIGEST_LENGTH);
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, 'w+');
  }
}

async function isHole(file: FileHandle, offset: number): Promise<boolean> {
  const present = Buffer.allocUnsafe(BLOCK_SIZE);
  const { bytesRead } = await file.read(present, 0, BLOCK_SIZE, offset);
  return isZero(present.subarray(0, bytesRead));
}

async function close(layer: Layer): Promise<void> {
  const files = layer.files;
  if (files === undefined) return;
  delete layer.files;
  const { data, sums } = await files;
  await Promise.all([data.close(), sums.close()]);
}
