import { promisify } from 'node:util';
import { zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import { type EncodedBlock } from './block-encoder';
import { messageOf } from '../../host/message-of';
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
  if (entry.encoding === 'raw') return verified(entry, stored);
  return verified(entry, await decompress(stored, DECOMPRESSION).catch(undecodable(entry)));
}

/**
 * As {@link decodeBlock}, in this thread, about a millisecond long: for what others wait for in the threads that
 * {@link decodeBlock} needs.
 * @throws DamagedBlockError
 */
export function decodeBlockHere(entry: MapEntry, stored: Buffer): Buffer {
  if (entry.encoding === 'raw') return verified(entry, stored);
  let block: Buffer;
  try {
    block = zstdDecompressSync(stored, DECOMPRESSION);
  } catch (error) {
    return undecodable(entry)(error);
  }
  return verified(entry, block);
}

/** A few hostile bytes may claim to be terabytes; nothing longer than a block is made of them. */
const DECOMPRESSION = { chunkSize: OUTPUT_BYTES, maxOutputLength: BLOCK_SIZE };

function verified(entry: MapEntry, block: Buffer): Buffer {
  if (block.length !== BLOCK_SIZE) throw new DamagedBlockError(entry, `it has ${block.length} bytes`);
  if (!hash('sha256', block, 'buffer').equals(entry.sha256))
    throw new DamagedBlockError(entry, 'its SHA-256 is another');
  return block;
}

function undecodable(entry: MapEntry): (error: unknown) => never {
  return (error) => {
    throw new DamagedBlockError(entry, `it cannot be decompressed (${messageOf(error)})`);
  };
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
