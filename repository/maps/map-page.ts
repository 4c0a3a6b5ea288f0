import {
  BlockMapError,
  checkEntry,
  MAP_ENTRY_BYTES,
  type MapEntry,
  PAGE_HEADER_BYTES,
  PAGE_MAGIC,
  pageBlocks,
} from './block-map-format';
import { EntryList } from './entry-list';
import { parseKeyTable } from './key-table';
import { parsePackKey } from '../objects/keys';

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
    private readonly entries: EntryList,
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
    const page = new MapPage(n, keys, EntryList.of(bytes.subarray(end)));
    page.check(blocks);
    return page;
  }

  private check(blocks: number): void {
    const { from, to } = pageBlocks(this.n, blocks);
    let previous = from - 1;
    for (let position = 0; position < this.length; position++) {
      if (this.entries.packAt(position) >= this.packs.length)
        throw new BlockMapError(`entry ${position} names a pack that is not in the table of its page`);
      const entry = this.at(position);
      checkEntry(entry, previous, to);
      previous = entry.index;
    }
  }

  /** Blocks of the page that are not all zeros. */
  get length(): number {
    return this.entries.length;
  }

  indexAt(position: number): number {
    return this.entries.indexAt(position);
  }

  /** The digest at a position; a view, not a copy. */
  sha256At(position: number): Buffer {
    return this.entries.sha256At(position);
  }

  /** The entry at a position, 0 to length - 1, in disk order. */
  at(position: number): MapEntry {
    return { ...this.entries.at(position), pack: this.packs[this.entries.packAt(position)] ?? '' };
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
