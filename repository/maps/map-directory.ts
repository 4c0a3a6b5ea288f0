import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import {
  BlockMapError,
  blockCount,
  checkDiskSize,
  checkPageRef,
  MAP_HEADER_BYTES,
  MAP_MAGIC,
  MAP_PAGE_BLOCKS,
  MAP_REF_BYTES,
  MAP_VERSION,
  type MapPageRef,
  SHA256_BYTES,
} from './block-map-format';
import { KeyTable, parseKeyTable } from './key-table';
import { parseMapPagesKey } from '../objects/keys';

/** What a backup itself stored of a disk, rather than an earlier one. */
export interface StoredByBackup {
  storedBlocks: number;
  storedBytes: number;
}

/** Room for references at first; it doubles as they come. */
const FIRST_REFS = 64;

/** Makes the directory of a block map out of references to its pages, which come in any order. */
export class MapDirectoryBuilder {
  private readonly objects = new KeyTable();
  private refs = Buffer.alloc(FIRST_REFS * MAP_REF_BYTES);
  private count = 0;
  private dataBlocks = 0;
  private readonly blocks: number;

  /** @throws BlockMapError where no disk can have the size */
  constructor(private readonly diskSizeBytes: number) {
    checkDiskSize(diskSizeBytes);
    this.blocks = blockCount(diskSizeBytes);
  }

  /** Blocks in the pages so far that are not all zeros. */
  get length(): number {
    return this.dataBlocks;
  }

  /** @throws BlockMapError where the reference cannot be true */
  add(n: number, ref: MapPageRef): void {
    checkPageRef(n, ref, this.blocks);
    if (parseMapPagesKey(ref.key) === undefined) throw new BlockMapError(`"${ref.key}" has no pages`);
    const start = this.count * MAP_REF_BYTES;
    if (start === this.refs.length) this.refs = Buffer.concat([this.refs, Buffer.alloc(this.refs.length)]);
    const words = [n, this.objects.numberOf(ref.key), ref.offset, ref.length, ref.entries];
    words.forEach((word, position) => this.refs.writeUInt32BE(word, start + 4 * position));
    ref.sha256.copy(this.refs, start + 20);
    this.count++;
    this.dataBlocks += ref.entries;
  }

  /** The directory's bytes, as they are stored. @throws BlockMapError where a page came twice */
  finish({ storedBlocks, storedBytes }: StoredByBackup): Buffer {
    const header = Buffer.alloc(MAP_HEADER_BYTES);
    MAP_MAGIC.copy(header);
    header.writeUInt32BE(MAP_VERSION, 8);
    header.writeUInt32BE(BLOCK_SIZE, 12);
    header.writeUInt32BE(MAP_PAGE_BLOCKS, 16);
    header.writeBigUInt64BE(BigInt(this.diskSizeBytes), 20);
    header.writeUInt32BE(this.dataBlocks, 28);
    header.writeUInt32BE(storedBlocks, 32);
    header.writeBigUInt64BE(BigInt(storedBytes), 36);
    header.writeUInt32BE(this.objects.length, 44);
    header.writeUInt32BE(this.count, 48);
    const refs = this.sorted();
    const body = Buffer.concat([header, this.objects.toBuffer(), refs]);
    return Buffer.concat([body, hash('sha256', body, 'buffer')]);
  }

  private sorted(): Buffer {
    const numberAt = (position: number) => this.refs.readUInt32BE(position * MAP_REF_BYTES);
    const order = Array.from({ length: this.count }, (_, position) => position);
    order.sort((a, b) => numberAt(a) - numberAt(b));
    const refs = Buffer.alloc(this.count * MAP_REF_BYTES);
    order.forEach((position, place) => {
      if (place > 0 && numberAt(position) === numberAt(order[place - 1]!))
        throw new BlockMapError(`page ${numberAt(position)} is there twice`);
      this.refs.copy(refs, place * MAP_REF_BYTES, position * MAP_REF_BYTES, (position + 1) * MAP_REF_BYTES);
    });
    return refs;
  }
}

/** The directory of a block map: where its pages are. References stay in the directory's bytes, 52 a page. */
export class MapDirectory implements StoredByBackup {
  private constructor(
    readonly diskSizeBytes: number,
    /** Blocks of the disk that are not all zeros. */
    readonly dataBlocks: number,
    readonly storedBlocks: number,
    readonly storedBytes: number,
    /** Keys of the objects that the pages are in, each once. */
    readonly objects: readonly string[],
    private readonly refs: Buffer,
  ) {}

  /**
   * Reads a directory, believing nothing: every count, number, offset and key is checked.
   * @param vm objects of any other VM are refused
   * @throws BlockMapError
   */
  static parse(bytes: Buffer, vm: string): MapDirectory {
    const end = bytes.length - SHA256_BYTES;
    if (bytes.length < MAP_MAGIC.length + 4) throw new BlockMapError(`${bytes.length} bytes are too few`);
    if (!bytes.subarray(0, MAP_MAGIC.length).equals(MAP_MAGIC))
      throw new BlockMapError('it does not begin like one');
    const version = bytes.readUInt32BE(8);
    if (version !== MAP_VERSION)
      throw new BlockMapError(
        `it has version ${version}; this release of Lifeboat reads ${MAP_VERSION} only`,
      );
    if (end < MAP_HEADER_BYTES) throw new BlockMapError(`${bytes.length} bytes are too few`);
    const body = bytes.subarray(0, end);
    if (!hash('sha256', body, 'buffer').equals(bytes.subarray(end)))
      throw new BlockMapError('its checksum does not match');
    if (bytes.readUInt32BE(12) !== BLOCK_SIZE) throw new BlockMapError(`its block size is not ${BLOCK_SIZE}`);
    if (bytes.readUInt32BE(16) !== MAP_PAGE_BLOCKS)
      throw new BlockMapError(`its pages do not have ${MAP_PAGE_BLOCKS} blocks`);
    const diskSizeBytes = readSafe(bytes, 20);
    checkDiskSize(diskSizeBytes);

    const { keys, end: start } = parseKeyTable(
      body,
      MAP_HEADER_BYTES,
      bytes.readUInt32BE(44),
      parseMapPagesKey,
      vm,
    );
    const count = bytes.readUInt32BE(48);
    if (end - start !== count * MAP_REF_BYTES)
      throw new BlockMapError(`${count} pages do not take ${end - start} bytes`);
    const directory = new MapDirectory(
      diskSizeBytes,
      bytes.readUInt32BE(28),
      bytes.readUInt32BE(32),
      readSafe(bytes, 36),
      keys,
      bytes.subarray(start, end),
    );
    directory.check();
    return directory;
  }

  private check(): void {
    const blocks = blockCount(this.diskSizeBytes);
    let previous = -1;
    let dataBlocks = 0;
    for (let position = 0; position < this.length; position++) {
      const n = this.numberAt(position);
      if (n <= previous) throw new BlockMapError(`page ${n} follows page ${previous}`);
      if (this.refs.readUInt32BE(position * MAP_REF_BYTES + 4) >= this.objects.length)
        throw new BlockMapError(`page ${n} is in an object that is not in its table`);
      const ref = this.at(position);
      checkPageRef(n, ref, blocks);
      previous = n;
      dataBlocks += ref.entries;
    }
    if (dataBlocks !== this.dataBlocks)
      throw new BlockMapError(`its pages have ${dataBlocks} entries, and it says ${this.dataBlocks}`);
    if (this.storedBlocks > this.dataBlocks || !(this.storedBytes <= this.storedBlocks * BLOCK_SIZE))
      throw new BlockMapError(`${this.storedBlocks} blocks in ${this.storedBytes} bytes were hardly stored`);
  }

  /** Pages that are not all zeros. */
  get length(): number {
    return this.refs.length / MAP_REF_BYTES;
  }

  /** Number of the page at a position, 0 to length - 1, in disk order. */
  numberAt(position: number): number {
    return this.refs.readUInt32BE(position * MAP_REF_BYTES);
  }

  at(position: number): MapPageRef {
    const start = position * MAP_REF_BYTES;
    return {
      key: this.objects[this.refs.readUInt32BE(start + 4)] ?? '',
      offset: this.refs.readUInt32BE(start + 8),
      length: this.refs.readUInt32BE(start + 12),
      entries: this.refs.readUInt32BE(start + 16),
      sha256: this.refs.subarray(start + 20, start + MAP_REF_BYTES),
    };
  }

  /** The page's reference; undefined where the page is all zeros. */
  find(n: number): MapPageRef | undefined {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.numberAt(middle) < n) low = middle + 1;
      else high = middle;
    }
    return low < this.length && this.numberAt(low) === n ? this.at(low) : undefined;
  }
}

/** NaN where the number is greater than any that can be meant; no check accepts it. */
function readSafe(bytes: Buffer, offset: number): number {
  const value = bytes.readBigUInt64BE(offset);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.NaN : Number(value);
}
