import { AT, BASE_BLOCK_BYTES, HiveError } from './base-block';
import { expectSoundBins } from './structure';

const NOWHERE = 0xffffffff;
/** Bytes of a key node before its name, and of a value before its name. */
const KEY_BYTES = 76;
const VALUE_BYTES = 20;
/** Set in a key's or a value's flags where its name is Latin-1 and not UTF-16. */
const KEY_NAME_IS_LATIN1 = 0x20;
const VALUE_NAME_IS_LATIN1 = 1;
/** In the size of a value's data: the data are in the field of the offset. */
const INLINE = 0x80000000;
/** Data larger than this are cut into segments of this size (in hives of version 1.4 and later). */
const SEGMENT_BYTES = 16344;
/** Far more than any key of a Windows has, so that a made-up list costs little. */
const MAX_SUBKEYS = 200_000;
const MAX_VALUES = 50_000;
/** Nothing in SYSTEM or SOFTWARE comes near. */
const MAX_VALUE_BYTES = 16 * 1024 * 1024;
/**
 * What may be read of a hive in all, in multiples of its size: a walk over all of it reads less than once its size.
 * Lists that several keys share, and keys that contain themselves, come to an end by this.
 */
const READS = 4;
const READS_AT_LEAST = 16 * 1024 * 1024;
/** What a key, and a value without its data, counts for: about what they take in a hive. */
const ENTRY_COST = 64;
/** Depth that Windows allows. */
const MAX_DEPTH = 512;

export interface RegistryValue {
  /** Empty for the key's default value. */
  name: string;
  /** REG_SZ is 1, REG_DWORD 4, and so on. */
  type: number;
  data: Buffer;
}

/** A key of a hive; as valid as the hive that it came from. */
export interface RegistryKey {
  name: string;
  /** The key node's cell. */
  cell: Buffer;
}

/**
 * Reads keys and values out of a hive's bytes. Nothing in them is trusted: offsets are checked against the bins, lists
 * are bounded, and so is all that is read.
 */
export class HiveReader {
  readonly root: RegistryKey;
  private readonly bins: Buffer;
  private left: number;

  /** @throws HiveError where the hive is damaged */
  constructor(hive: Buffer) {
    expectSoundBins(hive);
    this.bins = hive.subarray(BASE_BLOCK_BYTES, BASE_BLOCK_BYTES + hive.readUInt32LE(AT.binsBytes));
    this.left = READS_AT_LEAST + READS * this.bins.length;
    this.root = this.keyAt(hive.readUInt32LE(AT.rootCell));
  }

  /** The key at a path of names with backslashes between them, from the root; case does not matter. */
  key(path: string): RegistryKey | undefined {
    const parts = path.split('\\').filter((part) => part !== '');
    if (parts.length > MAX_DEPTH) return undefined;
    let at: RegistryKey | undefined = this.root;
    for (const part of parts) {
      if (at === undefined) return undefined;
      at = this.subkey(at, part);
    }
    return at;
  }

  subkey(key: RegistryKey, name: string): RegistryKey | undefined {
    const wanted = name.toUpperCase();
    return this.subkeys(key).find((one) => one.name.toUpperCase() === wanted);
  }

  subkeys(key: RegistryKey): RegistryKey[] {
    const count = key.cell.readUInt32LE(20);
    if (count === 0) return [];
    if (count > MAX_SUBKEYS) throw new HiveError(`a key has ${count} subkeys, which is not believed`);
    const offsets = this.subkeyOffsets(key.cell.readUInt32LE(28), false);
    if (offsets.length > MAX_SUBKEYS) throw new HiveError('a list of subkeys is longer than is believed');
    return offsets.map((offset) => this.keyAt(offset));
  }

  /** The value at a key's path, if both are there. */
  value(path: string, name: string): RegistryValue | undefined {
    const key = this.key(path);
    const wanted = name.toUpperCase();
    return key && this.values(key).find((one) => one.name.toUpperCase() === wanted);
  }

  /** {@link value}, if it is a REG_DWORD. */
  dword(path: string, name: string): number | undefined {
    const value = this.value(path, name);
    return value?.type === 4 && value.data.length === 4 ? value.data.readUInt32LE(0) : undefined;
  }

  /** {@link value}, if it is a REG_SZ or REG_EXPAND_SZ; up to its first NUL. */
  text(path: string, name: string): string | undefined {
    const value = this.value(path, name);
    if (value?.type !== 1 && value?.type !== 2) return undefined;
    return value.data.toString('utf16le').split('\0')[0];
  }

  values(key: RegistryKey): RegistryValue[] {
    const count = key.cell.readUInt32LE(36);
    if (count === 0) return [];
    if (count > MAX_VALUES) throw new HiveError(`a key has ${count} values, which is not believed`);
    const list = this.cell(key.cell.readUInt32LE(40), count * 4);
    return Array.from({ length: count }, (_, index) => this.valueAt(list.readUInt32LE(index * 4)));
  }

  private valueAt(offset: number): RegistryValue {
    this.spend(ENTRY_COST);
    const cell = this.cell(offset, VALUE_BYTES);
    if (cell.toString('latin1', 0, 2) !== 'vk') throw new HiveError(`there is no value at ${offset}`);
    const nameBytes = cell.readUInt16LE(2);
    const name = text(cell, VALUE_BYTES, nameBytes, (cell.readUInt16LE(16) & VALUE_NAME_IS_LATIN1) !== 0);
    const size = cell.readUInt32LE(4);
    const type = cell.readUInt32LE(12);
    if (size >= INLINE) {
      if (size - INLINE > 4) throw new HiveError(`the value at ${offset} has more data than fit into it`);
      return { name, type, data: cell.subarray(8, 8 + size - INLINE) };
    }
    return { name, type, data: size === 0 ? Buffer.alloc(0) : this.data(cell.readUInt32LE(8), size) };
  }

  private data(offset: number, size: number): Buffer {
    if (size > MAX_VALUE_BYTES) throw new HiveError(`a value has ${size} bytes, which is not believed`);
    this.spend(size);
    const first = this.cell(offset, Math.min(size, 8));
    if (size <= SEGMENT_BYTES || first.toString('latin1', 0, 2) !== 'db')
      return this.cell(offset, size).subarray(0, size);
    const count = first.readUInt16LE(2);
    if (count !== Math.ceil(size / SEGMENT_BYTES))
      throw new HiveError(`the data at ${offset} have no right length`);
    const list = this.cell(first.readUInt32LE(4), count * 4);
    const segments: Buffer[] = [];
    for (let index = 0; index < count; index++) {
      const length = Math.min(SEGMENT_BYTES, size - index * SEGMENT_BYTES);
      segments.push(this.cell(list.readUInt32LE(index * 4), length).subarray(0, length));
    }
    return Buffer.concat(segments);
  }

  /** The cells of the keys that a list names; a list of lists has lists of keys only. */
  private subkeyOffsets(offset: number, nested: boolean): number[] {
    const cell = this.cell(offset, 4);
    const kind = cell.toString('latin1', 0, 2);
    const count = cell.readUInt16LE(2);
    const entryBytes =
      kind === 'lf' || kind === 'lh' ? 8 : kind === 'li' || (kind === 'ri' && !nested) ? 4 : 0;
    if (entryBytes === 0 || 4 + count * entryBytes > cell.length) {
      throw new HiveError(`the list of subkeys at ${offset} is damaged`);
    }
    const offsets = Array.from({ length: count }, (_, index) => cell.readUInt32LE(4 + index * entryBytes));
    if (kind !== 'ri') return offsets;
    const keys: number[] = [];
    for (const list of offsets) {
      for (const key of this.subkeyOffsets(list, true)) keys.push(key);
      if (keys.length > MAX_SUBKEYS) throw new HiveError('a list of subkeys is longer than is believed');
    }
    return keys;
  }

  private keyAt(offset: number): RegistryKey {
    this.spend(ENTRY_COST);
    const cell = this.cell(offset, KEY_BYTES);
    if (cell.toString('latin1', 0, 2) !== 'nk') throw new HiveError(`there is no key at ${offset}`);
    const name = text(
      cell,
      KEY_BYTES,
      cell.readUInt16LE(72),
      (cell.readUInt16LE(2) & KEY_NAME_IS_LATIN1) !== 0,
    );
    return { name, cell };
  }

  private spend(cost: number): void {
    this.left -= cost;
    if (this.left < 0) throw new HiveError('its keys or values are more than fit into it');
  }

  /** The content of an allocated cell, at least so many bytes. */
  private cell(offset: number, atLeast: number): Buffer {
    if (offset === NOWHERE || offset % 8 !== 0 || offset + 4 > this.bins.length) {
      throw new HiveError(`an offset (${offset}) leads out of it`);
    }
    const size = -this.bins.readInt32LE(offset);
    if (size < 4 + atLeast || offset + size > this.bins.length) {
      throw new HiveError(`the cell at ${offset} is damaged`);
    }
    return this.bins.subarray(offset + 4, offset + size);
  }
}

function text(cell: Buffer, at: number, bytes: number, latin1: boolean): string {
  if (at + bytes > cell.length) throw new HiveError('a name is longer than its cell');
  return cell.toString(latin1 ? 'latin1' : 'utf16le', at, at + bytes);
}
