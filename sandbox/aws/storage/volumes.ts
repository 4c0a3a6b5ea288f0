import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BLOCK_SIZE, blockDigest, BLOCKS_PER_GIB, isZero, ZERO_DIGEST } from './block';
import { readExtents } from './extents';
import { type LayerStore } from './layers';
import { type BlockMap } from './maps';

const run = promisify(execFile);

/** Granularity at which zeros inside a block are left as holes. */
const SLICE = 64 * 1024;

/** Blocks copied at a time: enough to overlap reading and writing, 2 MiB of buffers. */
const CONCURRENCY = 4;

/** Volumes as raw sparse files, and frozen copies of them. */
export class VolumeFiles {
  constructor(
    private readonly directory: string,
    private readonly stagingDirectory: string,
    private readonly layers: LayerStore,
  ) {
    mkdirSync(directory, { recursive: true });
    mkdirSync(stagingDirectory, { recursive: true });
  }

  path(volumeId: string): string {
    return join(this.directory, `${volumeId}.raw`);
  }

  ids(): string[] {
    return readdirSync(this.directory).map((name) => name.replace(/\.raw(\.tmp)?$/, ''));
  }

  exists(volumeId: string): boolean {
    return existsSync(this.path(volumeId));
  }

  /** Makes a volume's file with the bytes of a map, or empty. Begun anew where it was cut short. */
  async create(volumeId: string, sizeGiB: number, map: BlockMap | undefined): Promise<void> {
    if (this.exists(volumeId)) return;
    const path = this.path(volumeId);
    const file = await open(`${path}.tmp`, 'w+');
    try {
      await file.truncate(sizeGiB * BLOCKS_PER_GIB * BLOCK_SIZE);
      if (map !== undefined) await this.fill(file, map);
    } finally {
      await file.close();
    }
    await rename(`${path}.tmp`, path);
  }

  delete(volumeId: string): void {
    rmSync(this.path(volumeId), { force: true });
    rmSync(`${this.path(volumeId)}.tmp`, { force: true });
  }

  /** Copies a volume as it is now; the caller sees to it that nobody writes meanwhile. Holes stay holes. */
  async freeze(volumeId: string, stagingName: string): Promise<string> {
    const target = join(this.stagingDirectory, stagingName);
    // cp asks the file system where the holes are (SEEK_DATA), which node cannot, and shares extents where that works.
    await run('cp', ['--reflink=auto', '--sparse=auto', '--', this.path(volumeId), `${target}.tmp`]);
    await rename(`${target}.tmp`, target);
    return stagingName;
  }

  stagingNames(): string[] {
    return readdirSync(this.stagingDirectory);
  }

  deleteStaging(name: string): void {
    rmSync(join(this.stagingDirectory, name), { force: true });
  }

  /** Writes the blocks of a frozen copy that differ from a map into a layer. `goOn` ends the work early. */
  async storeDifference(
    stagingName: string,
    base: BlockMap | undefined,
    layer: string,
    goOn: () => boolean,
  ): Promise<void> {
    const path = join(this.stagingDirectory, stagingName);
    const mayHoldData = await readExtents(path);
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      await eachBlock(size / BLOCK_SIZE, async (index, buffer) => {
        const hole = !mayHoldData(index);
        if (!goOn() || (hole && base?.owner(index) === undefined)) return;
        if (hole) buffer.fill(0);
        else await file.read(buffer, 0, BLOCK_SIZE, index * BLOCK_SIZE);
        const owner = base?.owner(index);
        const before = owner === undefined ? ZERO_DIGEST : this.layers.digest(owner, index);
        const digest = blockDigest(buffer);
        if (before === undefined || !digest.equals(before))
          await this.layers.write(layer, index, buffer, digest);
      });
    } finally {
      await file.close();
    }
  }

  private async fill(file: FileHandle, map: BlockMap): Promise<void> {
    await eachBlock(map.length, async (index, buffer) => {
      const layer = map.owner(index);
      if (layer === undefined || this.layers.digest(layer, index)?.equals(ZERO_DIGEST)) return;
      await this.layers.read(layer, index, buffer);
      await writeSparse(file, buffer, index * BLOCK_SIZE);
    });
  }
}

async function eachBlock(
  count: number,
  work: (index: number, buffer: Buffer) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafe(BLOCK_SIZE);
    while (next < count) await work(next++, buffer);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

async function writeSparse(file: FileHandle, block: Buffer, offset: number): Promise<void> {
  let start = 0;
  while (start < block.length) {
    if (isZero(block.subarray(start, start + SLICE))) {
      start += SLICE;
      continue;
    }
    let end = start + SLICE;
    while (end < block.length && !isZero(block.subarray(end, end + SLICE))) end += SLICE;
    await file.write(block, start, end - start, offset + start);
    start = end;
  }
}
