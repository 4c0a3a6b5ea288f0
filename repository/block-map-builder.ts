import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../blocks/port';
import {
  BlockMapError,
  blockCount,
  checkDiskSize,
  checkEntry,
  ENCODING_CODES,
  MAP_ENTRY_BYTES,
  MAP_HEADER_BYTES,
  MAP_MAGIC,
  MAP_VERSION,
  type MapEntry,
} from './block-map-format';
import { parsePackKey } from './keys';

/** Entries are gathered in slabs of this many, so that growing never copies what is there. */
const SLAB_ENTRIES = 8192;

/** Makes a block map out of entries that come in disk order. */
export class BlockMapBuilder {
  private readonly packs = new Map<string, number>();
  private readonly slabs: Buffer[] = [];
  private count = 0;
  private previous = -1;
  private readonly blocks: number;

  /** @throws BlockMapError where no disk can have the size */
  constructor(private readonly diskSizeBytes: number) {
    checkDiskSize(diskSizeBytes);
    this.blocks = blockCount(diskSizeBytes);
  }

  get length(): number {
    return this.count;
  }

  /** @throws BlockMapError where the entry cannot be true, or does not follow the last one */
  add(entry: MapEntry): void {
    checkEntry(entry, this.previous, this.blocks);
    if (parsePackKey(entry.pack) === undefined) throw new BlockMapError(`"${entry.pack}" is no pack`);
    let pack = this.packs.get(entry.pack);
    if (pack === undefined) this.packs.set(entry.pack, (pack = this.packs.size));

    const position = this.count % SLAB_ENTRIES;
    if (position === 0) this.slabs.push(Buffer.alloc(SLAB_ENTRIES * MAP_ENTRY_BYTES));
    const slab = this.slabs.at(-1)!;
    const start = position * MAP_ENTRY_BYTES;
    slab.writeUInt32BE(entry.index, start);
    slab.writeUInt32BE(pack, start + 4);
    slab.writeUInt32BE(entry.offset, start + 8);
    slab.writeUInt32BE(ENCODING_CODES[entry.encoding] * 2 ** 24 + entry.length, start + 12);
    entry.sha256.copy(slab, start + 16);
    this.previous = entry.index;
    this.count++;
  }

  /** The map's bytes, as they are stored. */
  finish(): Buffer {
    const header = Buffer.alloc(MAP_HEADER_BYTES);
    MAP_MAGIC.copy(header);
    header.writeUInt32BE(MAP_VERSION, 8);
    header.writeUInt32BE(BLOCK_SIZE, 12);
    header.writeBigUInt64BE(BigInt(this.diskSizeBytes), 16);
    header.writeUInt32BE(this.count, 24);
    header.writeUInt32BE(this.packs.size, 28);
    const table = [...this.packs.keys()].map((key) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(key.length);
      return Buffer.concat([length, Buffer.from(key, 'latin1')]);
    });
    const entries = this.slabs.map((slab, n) =>
      slab.subarray(0, Math.min(SLAB_ENTRIES, this.count - n * SLAB_ENTRIES) * MAP_ENTRY_BYTES),
    );
    const body = Buffer.concat([header, ...table, ...entries]);
    return Buffer.concat([body, hash('sha256', body, 'buffer')]);
  }
}
