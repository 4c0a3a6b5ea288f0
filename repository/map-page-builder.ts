import {
  BlockMapError,
  checkEntry,
  ENCODING_CODES,
  MAP_ENTRY_BYTES,
  type MapEntry,
  PAGE_HEADER_BYTES,
  PAGE_MAGIC,
  pageBlocks,
} from './block-map-format';
import { KeyTable } from './key-table';
import { parsePackKey } from './keys';

/** Room for entries at first; it doubles as they come, so that the page of a nearly empty disk takes little memory. */
const FIRST_ENTRIES = 256;

/** Makes a page of a block map out of entries that come in disk order. */
export class MapPageBuilder {
  private readonly packs = new KeyTable();
  private entries = Buffer.alloc(FIRST_ENTRIES * MAP_ENTRY_BYTES);
  private count = 0;
  private previous: number;
  private readonly end: number;

  /** @param blocks of the disk */
  constructor(
    readonly n: number,
    blocks: number,
  ) {
    const { from, to } = pageBlocks(n, blocks);
    this.previous = from - 1;
    this.end = to;
  }

  get length(): number {
    return this.count;
  }

  /** @throws BlockMapError where the entry cannot be true, or does not follow the last one */
  add(entry: MapEntry): void {
    checkEntry(entry, this.previous, this.end);
    if (parsePackKey(entry.pack) === undefined) throw new BlockMapError(`"${entry.pack}" is no pack`);
    const start = this.count * MAP_ENTRY_BYTES;
    if (start === this.entries.length)
      this.entries = Buffer.concat([this.entries, Buffer.alloc(this.entries.length)]);
    this.entries.writeUInt32BE(entry.index, start);
    this.entries.writeUInt32BE(this.packs.numberOf(entry.pack), start + 4);
    this.entries.writeUInt32BE(entry.offset, start + 8);
    this.entries.writeUInt32BE(ENCODING_CODES[entry.encoding] * 2 ** 24 + entry.length, start + 12);
    entry.sha256.copy(this.entries, start + 16);
    this.previous = entry.index;
    this.count++;
  }

  /** The page's bytes, as they are stored. */
  finish(): Buffer {
    const header = Buffer.alloc(PAGE_HEADER_BYTES);
    PAGE_MAGIC.copy(header);
    header.writeUInt32BE(this.n, 8);
    header.writeUInt32BE(this.count, 12);
    header.writeUInt32BE(this.packs.length, 16);
    return Buffer.concat([
      header,
      this.packs.toBuffer(),
      this.entries.subarray(0, this.count * MAP_ENTRY_BYTES),
    ]);
  }
}
