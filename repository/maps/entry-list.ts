import {
  BlockMapError,
  type Encoding,
  ENCODING_CODES,
  MAP_ENTRY_BYTES,
  type MapEntry,
  SHA256_BYTES,
} from './block-map-format';

/** An entry of a block map whose pack is known from elsewhere. */
export type StoredBlock = Omit<MapEntry, 'pack'>;

/** Room for entries at first; it doubles as they come, so that what is nearly empty takes little memory. */
const FIRST_ENTRIES = 64;

/** Entries of a block map in the bytes that they have there (48 each), in disk order. */
export class EntryList {
  private constructor(
    private bytes: Buffer,
    private count: number,
  ) {}

  static empty(): EntryList {
    return new EntryList(Buffer.alloc(FIRST_ENTRIES * MAP_ENTRY_BYTES), 0);
  }

  /**
   * Entries that were written before; whether they can be true is for the caller to check.
   * @throws BlockMapError where the bytes are no whole number of entries
   */
  static of(bytes: Buffer): EntryList {
    const count = bytes.length / MAP_ENTRY_BYTES;
    if (!Number.isInteger(count)) throw new BlockMapError(`${bytes.length} bytes are no entries`);
    return new EntryList(bytes, count);
  }

  get length(): number {
    return this.count;
  }

  /** @param pack number of its pack, where there are several */
  add({ index, offset, encoding, length, sha256 }: StoredBlock, pack = 0): void {
    const start = this.count * MAP_ENTRY_BYTES;
    if (start === this.bytes.length)
      this.bytes = Buffer.concat([this.bytes], Math.max(FIRST_ENTRIES * MAP_ENTRY_BYTES, 2 * start));
    this.bytes.writeUInt32BE(index, start);
    this.bytes.writeUInt32BE(pack, start + 4);
    this.bytes.writeUInt32BE(offset, start + 8);
    this.bytes.writeUInt32BE(ENCODING_CODES[encoding] * 2 ** 24 + length, start + 12);
    sha256.copy(this.bytes, start + 16);
    this.count++;
  }

  indexAt(position: number): number {
    return this.bytes.readUInt32BE(position * MAP_ENTRY_BYTES);
  }

  packAt(position: number): number {
    return this.bytes.readUInt32BE(position * MAP_ENTRY_BYTES + 4);
  }

  /** Stored bytes of the block at a position. */
  lengthAt(position: number): number {
    return this.bytes.readUInt32BE(position * MAP_ENTRY_BYTES + 12) & 0xff_ffff;
  }

  /** Stored bytes of all blocks. */
  get totalLength(): number {
    let total = 0;
    for (let position = 0; position < this.count; position++) total += this.lengthAt(position);
    return total;
  }

  /** The digest at a position; a view, not a copy. */
  sha256At(position: number): Buffer {
    const start = (position + 1) * MAP_ENTRY_BYTES - SHA256_BYTES;
    return this.bytes.subarray(start, start + SHA256_BYTES);
  }

  /** @throws BlockMapError where its encoding is not known */
  at(position: number): StoredBlock {
    const start = position * MAP_ENTRY_BYTES;
    return {
      index: this.bytes.readUInt32BE(start),
      offset: this.bytes.readUInt32BE(start + 8),
      encoding: decodeEncoding(this.bytes.readUInt8(start + 12)),
      length: this.lengthAt(position),
      sha256: this.sha256At(position),
    };
  }

  /** The entries' bytes; a view, not a copy. */
  toBuffer(): Buffer {
    return this.bytes.subarray(0, this.count * MAP_ENTRY_BYTES);
  }
}

function decodeEncoding(code: number): Encoding {
  if (code === ENCODING_CODES.raw) return 'raw';
  if (code === ENCODING_CODES.zstd) return 'zstd';
  throw new BlockMapError(`encoding ${code} is not known`);
}
