import {
  BlockMapError,
  checkEntry,
  type MapEntry,
  PAGE_HEADER_BYTES,
  PAGE_MAGIC,
  pageBlocks,
} from './block-map-format';
import { EntryList } from './entry-list';
import { KeyTable } from './key-table';
import { parsePackKey } from '../objects/keys';

/** Makes a page of a block map out of entries that come in disk order. */
export class MapPageBuilder {
  private readonly packs = new KeyTable();
  private readonly entries = EntryList.empty();
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
    return this.entries.length;
  }

  /** @throws BlockMapError where the entry cannot be true, or does not follow the last one */
  add(entry: MapEntry): void {
    checkEntry(entry, this.previous, this.end);
    if (parsePackKey(entry.pack) === undefined) throw new BlockMapError(`"${entry.pack}" is no pack`);
    this.entries.add(entry, this.packs.numberOf(entry.pack));
    this.previous = entry.index;
  }

  /** The page's bytes, as they are stored. */
  finish(): Buffer {
    const header = Buffer.alloc(PAGE_HEADER_BYTES);
    PAGE_MAGIC.copy(header);
    header.writeUInt32BE(this.n, 8);
    header.writeUInt32BE(this.length, 12);
    header.writeUInt32BE(this.packs.length, 16);
    return Buffer.concat([header, this.packs.toBuffer(), this.entries.toBuffer()]);
  }
}
