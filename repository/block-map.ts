import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../blocks/port';
import {
  BlockMapError,
  blockCount,
  checkDiskSize,
  checkEntry,
  type Encoding,
  ENCODING_CODES,
  MAP_ENTRY_BYTES,
  MAP_HEADER_BYTES,
  MAP_MAGIC,
  MAP_VERSION,
  type MapEntry,
  SHA256_BYTES,
} from './block-map-format';
import { parsePackKey } from './keys';

/**
 * Which blocks a disk had at a backup, and where each is stored. The map is complete: a block without an entry was
 * all zeros. Entries stay in the map's bytes (48 each, so 96 MiB for a full TiB) and are read from there.
 */
export class BlockMap {
  private constructor(
    readonly diskSizeBytes: number,
    readonly packs: readonly string[],
    private readonly entries: Buffer,
  ) {}

  /** Blocks that are not all zeros. */
  get length(): number {
    return this.entries.length / MAP_ENTRY_BYTES;
  }

  /** Blocks of the disk, zeros included. */
  get blocks(): number {
    return blockCount(this.diskSizeBytes);
  }

  /**
   * Reads a map, believing nothing: every count, index, offset and key is checked.
   * @param vm where given, packs of any other VM are refused
   * @throws BlockMapError
   */
  static parse(bytes: Buffer, vm?: string): BlockMap {
    const end = bytes.length - SHA256_BYTES;
    if (end < MAP_HEADER_BYTES) throw new BlockMapError(`${bytes.length} bytes are too few`);
    if (!bytes.subarray(0, MAP_MAGIC.length).equals(MAP_MAGIC))
      throw new BlockMapError('it does not begin like one');
    const version = bytes.readUInt32BE(8);
    if (version !== MAP_VERSION)
      throw new BlockMapError(`version ${version} is not known here, only ${MAP_VERSION}`);
    if (!hash('sha256', bytes.subarray(0, end), 'buffer').equals(bytes.subarray(end)))
      throw new BlockMapError('its checksum does not match');
    if (bytes.readUInt32BE(12) !== BLOCK_SIZE) throw new BlockMapError(`its block size is not ${BLOCK_SIZE}`);

    const size = bytes.readBigUInt64BE(16);
    const diskSizeBytes = size > BigInt(Number.MAX_SAFE_INTEGER) ? Number.NaN : Number(size);
    checkDiskSize(diskSizeBytes);
    const entryCount = bytes.readUInt32BE(24);
    const { packs, offset } = parsePackTable(bytes.subarray(0, end), bytes.readUInt32BE(28), vm);
    if (end - offset !== entryCount * MAP_ENTRY_BYTES)
      throw new BlockMapError(`${entryCount} entries do not take ${end - offset} bytes`);

    const map = new BlockMap(diskSizeBytes, packs, bytes.subarray(offset, end));
    map.checkEntries();
    return map;
  }

  private checkEntries(): void {
    const blocks = this.blocks;
    let previous = -1;
    for (let position = 0; position < this.length; position++) {
      if (this.entries.readUInt32BE(position * MAP_ENTRY_BYTES + 4) >= this.packs.length)
        throw new BlockMapError(`entry ${position} names a pack that is not in its table`);
      const entry = this.at(position);
      checkEntry(entry, previous, blocks);
      previous = entry.index;
    }
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
  for (const [encoding, value] of Object.entries(ENCODING_CODES))
    if (value === code) return encoding as Encoding;
  throw new BlockMapError(`encoding ${code} is not known`);
}

function parsePackTable(bytes: Buffer, count: number, vm?: string): { packs: string[]; offset: number } {
  const packs = new Set<string>();
  let offset = MAP_HEADER_BYTES;
  for (let n = 0; n < count; n++) {
    if (offset + 2 > bytes.length) throw new BlockMapError('its table of packs is cut');
    const length = bytes.readUInt16BE(offset);
    if (offset + 2 + length > bytes.length) throw new BlockMapError('its table of packs is cut');
    const key = bytes.toString('latin1', offset + 2, offset + 2 + length);
    const parsed = parsePackKey(key);
    if (parsed === undefined || (vm !== undefined && parsed.vm !== vm) || packs.has(key))
      throw new BlockMapError(
        `${JSON.stringify(key.slice(0, 200))} in its table is no pack of this VM, or is there twice`,
      );
    packs.add(key);
    offset += 2 + length;
  }
  return { packs: [...packs], offset };
}

/**
 * Indexes of the blocks in which a disk differs from its parent, ascending: changed, new, or become zero. Without a
 * parent, those that are not zero.
 * @throws BlockMapError where the disks differ in size, so that one is no parent of the other
 */
export function changedBlocks(map: BlockMap, parent?: BlockMap): Uint32Array {
  if (parent !== undefined && parent.diskSizeBytes !== map.diskSizeBytes)
    throw new BlockMapError(`a disk of ${map.diskSizeBytes} bytes has no parent of ${parent.diskSizeBytes}`);
  const changed = new Uint32Array(map.length + (parent?.length ?? 0));
  let count = 0;
  let mine = 0;
  let theirs = 0;
  const parentLength = parent?.length ?? 0;
  while (mine < map.length || theirs < parentLength) {
    const index = mine < map.length ? map.indexAt(mine) : Infinity;
    const other = parent !== undefined && theirs < parentLength ? parent.indexAt(theirs) : Infinity;
    const same =
      index === other && parent !== undefined && map.sha256At(mine).equals(parent.sha256At(theirs));
    if (!same) changed[count++] = Math.min(index, other);
    if (index <= other) mine++;
    if (other <= index) theirs++;
  }
  return changed.slice(0, count);
}
