import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../blocks/port';
import { type Encoding, type MapEntry, PACK_MAGIC, PACK_TARGET_BYTES } from './block-map-format';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Level 1: on one core it keeps up with a 10 Gbit/s link; higher levels save a few per cent for twice the time. */
const COMPRESSION_LEVEL = 1;

/** What a block is stored as. */
export interface StoredBlock {
  bytes: Buffer;
  encoding: Encoding;
}

/**
 * Room for the output in one piece: zlib's default of 16 KiB would take 32 trips to its threads for every block. More
 * than a block, because what does not shrink grows by a few bytes.
 */
const OUTPUT_BYTES = BLOCK_SIZE + 4096;

/** Compresses a block; a copy of it where that does not make it smaller. `block` is free for other use afterwards. */
export async function encodeBlock(block: Buffer): Promise<StoredBlock> {
  const bytes = await compress(block, {
    chunkSize: OUTPUT_BYTES,
    params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL },
  });
  // Copied, since what is small would hold on to all of the room that it was given.
  return bytes.length < BLOCK_SIZE
    ? { bytes: Buffer.from(bytes), encoding: 'zstd' }
    : { bytes: Buffer.from(block), encoding: 'raw' };
}

/** A stored block that is not what its map says. Messages name pack and offset. */
export class DamagedBlockError extends Error {
  constructor(entry: Pick<MapEntry, 'index' | 'pack' | 'offset'>, reason: string) {
    super(
      `Block ${entry.index}, at ${entry.offset} of "${entry.pack}" in the backup repository, is damaged: ${reason}.`,
    );
    this.name = 'DamagedBlockError';
  }
}

/**
 * The plain block of a stored one, verified against its digest.
 * @throws DamagedBlockError
 */
export async function decodeBlock(entry: MapEntry, stored: Buffer): Promise<Buffer> {
  const block = entry.encoding === 'raw' ? stored : await decompressed(entry, stored);
  if (block.length !== BLOCK_SIZE) throw new DamagedBlockError(entry, `it has ${block.length} bytes`);
  if (!hash('sha256', block, 'buffer').equals(entry.sha256))
    throw new DamagedBlockError(entry, 'its SHA-256 is another');
  return block;
}

async function decompressed(entry: MapEntry, stored: Buffer): Promise<Buffer> {
  try {
    // A few hostile bytes may claim to be terabytes; nothing longer than a block is made of them.
    return await decompress(stored, { chunkSize: OUTPUT_BYTES, maxOutputLength: BLOCK_SIZE });
  } catch (error) {
    throw new DamagedBlockError(
      entry,
      `it cannot be decompressed (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

/** A pack in the making: blocks in disk order, in memory. */
export class OpenPack {
  private readonly parts: Buffer[] = [PACK_MAGIC];
  private readonly blocks: Omit<MapEntry, 'pack'>[] = [];
  private size = PACK_MAGIC.length;

  get isEmpty(): boolean {
    return this.blocks.length === 0;
  }

  get isFull(): boolean {
    return this.size >= PACK_TARGET_BYTES;
  }

  /** Stored blocks. */
  get length(): number {
    return this.blocks.length;
  }

  /** Bytes that the object takes. */
  get bytes(): number {
    return this.size;
  }

  add(index: number, sha256: Buffer, { bytes, encoding }: StoredBlock): void {
    this.blocks.push({ index, offset: this.size, length: bytes.length, encoding, sha256 });
    this.parts.push(bytes);
    this.size += bytes.length;
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.parts, this.size);
  }

  /** The entries of a block map for what is in the pack; its key is known when it is stored. */
  entries(): Omit<MapEntry, 'pack'>[] {
    return this.blocks;
  }
}
