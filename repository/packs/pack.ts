import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import { type EncodedBlock } from './block-encoder';
import { type MapEntry, PACK_MAGIC } from '../maps/block-map-format';
import { EntryList } from '../maps/entry-list';

const decompress = promisify(zstdDecompress);

/**
 * Room for the output in one piece: zlib's default of 16 KiB would take 32 trips to its threads for every block. More
 * than a block, because what does not shrink grows by a few bytes.
 */
const OUTPUT_BYTES = BLOCK_SIZE + 4096;

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

/** A pack in the making: blocks in disk order, copied into a buffer of PACK_BYTES. */
export class OpenPack {
  readonly blocks = EntryList.empty();
  private size: number;

  constructor(private readonly buffer: Buffer) {
    this.size = PACK_MAGIC.copy(buffer);
  }

  /** Bytes that the object takes. */
  get bytes(): number {
    return this.size;
  }

  /** Whether so many blocks fit, however little they can be compressed. */
  hasRoomFor(blocks: number): boolean {
    return this.size + blocks * BLOCK_SIZE <= this.buffer.length;
  }

  add(index: number, sha256: Buffer, { bytes, encoding }: EncodedBlock): void {
    this.blocks.add({ index, offset: this.size, length: bytes.length, encoding, sha256 });
    this.size += bytes.copy(this.buffer, this.size);
  }

  /** The object; a view of the buffer. */
  toBuffer(): Buffer {
    return this.buffer.subarray(0, this.size);
  }
}
