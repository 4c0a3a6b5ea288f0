import { createCipheriv, hash } from 'node:crypto';
import { open, rename, rm, stat, truncate } from 'node:fs/promises';
import { BLOCK_SIZE } from '../blocks/port';
import { ZERO_BLOCK } from '../blocks/zero';

/**
 * What a made disk holds, block by block: of 16 blocks 4 are zeros, 4 are incompressible (media, archives, encrypted
 * files), and 8 are like the rest of a server's disk, which zstd makes about half as large.
 */
const MIX = 'ddzidziddzidzdid';
const KINDS = { z: 'zeros', i: 'incompressible', d: 'data' } as const;
export type BlockKind = (typeof KINDS)[keyof typeof KINDS];

export function kindOf(index: number): BlockKind {
  return KINDS[MIX[index % MIX.length] as keyof typeof KINDS];
}

/** A made disk as a raw file, and the SHA-256 of each of its blocks (32 bytes a block; zero bytes for zeros). */
export interface MadeDisk {
  path: string;
  sumsPath: string;
  sizeBytes: number;
  blocks: number;
  dataBlocks: number;
}

/** Bytes of text and of noise by turns; the noise is what zstd cannot shorten. */
const UNIT_BYTES = 64;
const NOISE_BYTES = 28;
const WORDS = 'time level message service request user status index value error path bytes '.split(' ');

/** The block of that kind with that seed: the same in every process. */
export function makeBlock(kind: BlockKind, seed: string): Buffer {
  if (kind === 'zeros') return Buffer.alloc(BLOCK_SIZE);
  // A stream cipher over zeros: as incompressible as random bytes, repeatable, and quick.
  const cipher = createCipheriv('aes-256-ctr', hash('sha256', seed, 'buffer'), Buffer.alloc(16));
  const block = cipher.update(ZERO_BLOCK);
  if (kind === 'incompressible') return block;
  for (let offset = 0; offset < BLOCK_SIZE; offset += UNIT_BYTES) {
    // Which words follow each other is as good as random, so that no unit repeats another.
    let at = offset + NOISE_BYTES;
    const end = offset + UNIT_BYTES;
    for (let n = 0; at < end; n++)
      at += block.write(`${WORDS[block[offset + n]! % WORDS.length]} `, at, end - at, 'latin1');
  }
  return block;
}

export interface DiskOptions {
  /** Blocks apart from these are a hole. All are meant where it is absent. */
  holds?: (index: number) => boolean;
  /** Of a second version of the disk: which blocks differ from the first. */
  changed?: (index: number) => boolean;
}

/** Makes the disk (of whole blocks), or finds it made before. */
export async function makeDisk(
  path: string,
  sizeBytes: number,
  { holds = () => true, changed = () => false }: DiskOptions = {},
): Promise<MadeDisk> {
  const blocks = sizeBytes / BLOCK_SIZE;
  if (!Number.isInteger(blocks)) throw new Error(`a made disk has whole blocks, not ${sizeBytes} bytes`);
  const sumsPath = `${path}.sums`;
  let dataBlocks = 0;
  for (let index = 0; index < blocks; index++) if (holds(index) && kindOf(index) !== 'zeros') dataBlocks++;
  const disk = { path, sumsPath, sizeBytes, blocks, dataBlocks };
  if ((await sizeOf(path)) === sizeBytes && (await sizeOf(sumsPath)) === blocks * 32) return disk;
  await rm(sumsPath, { force: true });
  const file = await open(`${path}.tmp`, 'w');
  const sums = await open(`${sumsPath}.tmp`, 'w');
  try {
    for (let index = 0; index < blocks; index++) {
      const kind = kindOf(index);
      if (kind === 'zeros' || !holds(index)) continue;
      const block = makeBlock(kind, `${changed(index) ? 'changed' : 'first'} ${index}`);
      await file.write(block, 0, BLOCK_SIZE, index * BLOCK_SIZE);
      await sums.write(hash('sha256', block, 'buffer'), 0, 32, index * 32);
    }
  } finally {
    await file.close();
    await sums.close();
  }
  await truncate(`${path}.tmp`, sizeBytes);
  await truncate(`${sumsPath}.tmp`, blocks * 32);
  await rename(`${path}.tmp`, path);
  // The last, as it is what says that the disk is whole.
  await rename(`${sumsPath}.tmp`, sumsPath);
  return disk;
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
