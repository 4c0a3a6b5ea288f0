import {
  BlockMapError,
  checkEntry,
  type Encoding,
  ENCODING_CODES,
  MAP_ENTRY_BYTES,
  type MapEntry,
  PAGE_HEADER_BYTES,
  PAGE_MAGIC,
  pageBlocks,
  SHA256_BYTES,
} from './block-map-format';
import { parseKeyTable } from './key-table';
import { parsePackKey } from './keys';

/** What a page is a page of. */
export interface PagePlace {
  /** Number of the page, from 0. */
  n: number;
  /** Blocks of the disk. */
  blocks: number;
  vm: string;
}

/**
 * What a block map says of MAP_PAGE_BLOCKS blocks of a disk: those that are not all zeros, and where each is stored.
 * Entries stay in the page's bytes (48 each) and are read from there.
 */
export class MapPage {
  private constructor(
    readonly n: number,
    /** Keys of the packs that the entries are in, each once. */
    readonly packs: readonly string[],
    private readonly entries: Buffer,
  ) {}

  /**
   * Reads a page, believing nothing: every count, index, offset and key is checked.
   * @throws BlockMapError
   */
  static parse(bytes: Buffer, { n, blocks, vm }: PagePlace): MapPage {
    if (bytes.length < PAGE_HEADER_BYTES) throw new BlockMapError(`page ${n} has ${bytes.length} bytes only`);
    if (!bytes.subarray(0, PAGE_MAGIC.length).equals(PAGE_MAGIC))
      throw new BlockMapError(`page ${n} does not begin like one`);
    if (bytes.readUInt32BE(8) !== n)
      throw new BlockMapError(`page ${bytes.readUInt32BE(8)} stands where page ${n} should`);
    const count = bytes.readUInt32BE(12);
    const { keys, end } = parseKeyTable(bytes, PAGE_HEADER_BYTES, bytes.readUInt32BE(16), parsePackKey, vm);
    if (bytes.length - end !== count * MAP_ENTRY_BYTES)
      throw new BlockMapError(`${count} entries do not take ${bytes.length - end} bytes`);
    const page = new MapPage(n, keys, bytes.subarray(end));
    page.check(blocks);
    return page;
  }

  private check(blocks: number): void {
    const { from, to } = pageBlocks(this.n, blocks);
    let previous = from - 1;
    for (let position = 0; position < this.length; position++) {
      if (this.entries.readUInt32BE(position * MAP_ENTRY_BYTES + 4) >= this.packs.length)
        throw new BlockMapError(`entry ${position} names a pack that is not in the table of its page`);
      const entry = this.at(position);
      checkEntry(entry, previous, to);
      previous = entry.index;
    }
  }

  /** Blocks of the page that are not all zeros. */
  get length(): number {
    return this.entries.length / MAP_ENTRY_BYTES;
  }

  indexAt(position: number): number {
    return this.entries.readUInt32BE(position * MAP_ENTRY_BYTES);
  }

  /** The digest at a position; a view, not a copy. */
  sha256At(position: number): Buffer {
    const start = (position + 1) * MAP_ENTRY_BYTES - SHA256_BYTES;
    return this.entries.subarray(start, start + SHA256_BYTES);
  }

  /** The entry at a position, 0 to length - 1, in disk order. */
  at(position: number): MapEntry {
    const start = position * MAP_ENTRY_BYTES;
    const stored = this.entries.readUInt32BE(start + 12);
    return {
      index: this.entries.readUInt32BE(start),
      pack: this.packs[this.entries.readUInt32BE(start + 4)] ?? '',
      offset: this.entries.readUInt32BE(start + 8),
      encoding: decodeEncoding(stored >>> 24),
      length: stored & 0xff_ffff,
      sha256: this.sha256At(position),
    };
  }

  /** Position of the first entry of that block or a later one; `length` where there is none. */
  firstFrom(index: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.indexAt(middle) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Position of the block's entry; -1 where the block is all zeros. */
  positionOf(index: number): number {
    const position = this.firstFrom(index);
    return position < this.length && this.indexAt(position) === index ? position : -1;
  }

  /** The block's entry; undefined where the block is all zeros. */
  find(index: number): MapEntry | undefined {
    const position = this.positionOf(index);
    return position < 0 ? undefined : this.at(position);
  }
}

function decodeEncoding(code: number): Encoding {
  if (code === ENCODING_CODES.raw) return 'raw';
  if (code === ENCODING_CODES.zstd) return 'zstd';
  throw new BlockMapError(`encoding ${code} is not known`);
}
