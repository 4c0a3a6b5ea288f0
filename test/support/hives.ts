import { marvin32 } from '../../guest/windows/hive/marvin32';

/** Registry hives and their logs, written by other code than that which reads them; checked against hivex, regipy and python-registry. */

export interface HiveKey {
  values?: Record<string, number | string | Buffer>;
  keys?: Record<string, HiveKey>;
}

/** Puts a key at a path of names with backslashes between them. */
export function put(root: HiveKey, path: string, values: HiveKey['values'] = {}): HiveKey {
  let at = root;
  for (const name of path.split('\\')) at = (at.keys ??= {})[name] ??= {};
  at.values = { ...at.values, ...values };
  return root;
}

/** A clean hive of one bin. @param bytes of the bin; as many as its cells need where absent */
export function makeHive(root: HiveKey, { sequence = 1, bytes = 0 } = {}): Buffer {
  const cells: Buffer[] = [];
  let end = 32;
  const allocate = (content: Buffer): number => {
    const size = Math.ceil((4 + content.length) / 8) * 8;
    const cell = Buffer.alloc(size);
    cell.writeInt32LE(-size, 0);
    content.copy(cell, 4);
    cells.push(cell);
    end += size;
    return end - size;
  };
  const writeKey = (
    name: string,
    key: HiveKey,
    parent: number,
    security: number,
    isRoot: boolean,
  ): number => {
    const node = Buffer.alloc(76 + name.length);
    const offset = allocate(node);
    const cell = cells.at(-1)?.subarray(4) ?? node;
    cell.write('nk', 0, 'latin1');
    cell.writeUInt16LE(isRoot ? 0x2c : 0x20, 2);
    cell.writeUInt32LE(parent, 16);
    const sk = isRoot ? allocate(securityCell()) : security;
    if (isRoot) {
      const block = cells.at(-1)?.subarray(4);
      block?.writeUInt32LE(sk, 4);
      block?.writeUInt32LE(sk, 8);
    }
    const names = Object.keys(key.keys ?? {}).sort((a, b) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1));
    const offsets = names.map((one) => writeKey(one, key.keys?.[one] ?? {}, offset, sk, false));
    cell.writeUInt32LE(names.length, 20);
    cell.writeUInt32LE(names.length === 0 ? 0xffffffff : allocate(subkeyList(names, offsets)), 28);
    cell.writeUInt32LE(0xffffffff, 32);
    const values = Object.entries(key.values ?? {}).map(([one, value]) => writeValue(one, value));
    cell.writeUInt32LE(values.length, 36);
    const list = Buffer.from(Uint32Array.from(values).buffer);
    cell.writeUInt32LE(values.length === 0 ? 0xffffffff : allocate(list), 40);
    cell.writeUInt32LE(sk, 44);
    cell.writeUInt32LE(0xffffffff, 48);
    cell.writeUInt32LE(512, 52);
    cell.writeUInt32LE(512, 60);
    cell.writeUInt32LE(65536, 64);
    cell.writeUInt16LE(name.length, 72);
    cell.write(name, 76, 'latin1');
    return offset;
  };
  const writeValue = (name: string, value: number | string | Buffer): number => {
    const data = dataOf(value);
    const cell = Buffer.alloc(20 + name.length);
    cell.write('vk', 0, 'latin1');
    cell.writeUInt16LE(name.length, 2);
    cell.writeUInt32LE(typeof value === 'number' ? 4 : typeof value === 'string' ? 1 : 3, 12);
    cell.writeUInt16LE(1, 16);
    cell.write(name, 20, 'latin1');
    if (data.length <= 4) {
      cell.writeUInt32LE((0x80000000 + data.length) >>> 0, 4);
      data.copy(cell, 8);
    } else {
      cell.writeUInt32LE(data.length, 4);
      cell.writeUInt32LE(allocate(data), 8);
    }
    return allocate(cell);
  };
  const rootCell = writeKey('ROOT', root, 0xffffffff, 0, true);
  const size = Math.max(bytes, Math.ceil((end + 8) / 4096) * 4096);
  const bin = Buffer.alloc(size);
  bin.write('hbin', 0, 'latin1');
  bin.writeUInt32LE(size, 8);
  Buffer.concat(cells).copy(bin, 32);
  bin.writeInt32LE(size - end, end);
  return Buffer.concat([baseBlock({ type: 0, sequence, rootCell, binsBytes: size }, 4096), bin]);
}

/** Marks a hive as one that is being written: its sequence numbers differ. */
export function dirty(hive: Buffer, first: number, second: number): Buffer {
  const copy = Buffer.from(hive);
  copy.writeUInt32LE(first, 4);
  copy.writeUInt32LE(second, 8);
  seal(copy);
  return copy;
}

/** What makes one state of a hive the next, as an entry of a log. */
export function logEntry(before: Buffer, after: Buffer, sequence: number): Buffer {
  const pages: { offset: number; content: Buffer }[] = [];
  for (let at = 4096; at < after.length; at += 4096) {
    const content = after.subarray(at, at + 4096);
    if (!content.equals(before.subarray(at, at + 4096))) pages.push({ offset: at - 4096, content });
  }
  const size = Math.ceil((40 + pages.length * (8 + 4096)) / 512) * 512;
  const entry = Buffer.alloc(size);
  entry.write('HvLE', 0, 'latin1');
  [size, 0, sequence, after.length - 4096, pages.length].forEach((word, index) =>
    entry.writeUInt32LE(word, 4 + 4 * index),
  );
  pages.forEach(({ offset, content }, index) => {
    entry.writeUInt32LE(offset, 40 + index * 8);
    entry.writeUInt32LE(content.length, 44 + index * 8);
    content.copy(entry, 40 + pages.length * 8 + index * 4096);
  });
  hash(entry);
  return entry;
}

/** Makes the hashes of an entry right, whatever is in it. */
export function hash(entry: Buffer): Buffer {
  entry.writeBigUInt64LE(marvin32(entry.subarray(40)), 24);
  entry.writeBigUInt64LE(marvin32(entry.subarray(0, 32)), 32);
  return entry;
}

export function makeLog(hive: Buffer, first: number, entries: Buffer[], type = 6): Buffer {
  const rootCell = hive.readUInt32LE(36);
  return Buffer.concat([
    baseBlock({ type, sequence: first, rootCell, binsBytes: hive.length - 4096 }, 512),
    ...entries,
  ]);
}

function baseBlock(
  {
    type,
    sequence,
    rootCell,
    binsBytes,
  }: { type: number; sequence: number; rootCell: number; binsBytes: number },
  bytes: number,
): Buffer {
  const block = Buffer.alloc(bytes);
  block.write('regf', 0, 'latin1');
  block.writeUInt32LE(sequence, 4);
  block.writeUInt32LE(sequence, 8);
  [1, 5, type, 1, rootCell, binsBytes, 1].forEach((word, index) => block.writeUInt32LE(word, 20 + 4 * index));
  seal(block);
  return block;
}

function seal(block: Buffer): void {
  let sum = 0;
  for (let at = 0; at < 508; at += 4) sum = (sum ^ block.readUInt32LE(at)) >>> 0;
  block.writeUInt32LE(sum === 0 ? 1 : sum === 0xffffffff ? 0xfffffffe : sum, 508);
}

function securityCell(): Buffer {
  const descriptor = Buffer.from('0100048000000000000000000000000000000000', 'hex');
  const cell = Buffer.alloc(20 + descriptor.length);
  cell.write('sk', 0, 'latin1');
  cell.writeUInt32LE(1000, 12);
  cell.writeUInt32LE(descriptor.length, 16);
  descriptor.copy(cell, 20);
  return cell;
}

function subkeyList(names: string[], offsets: number[]): Buffer {
  const list = Buffer.alloc(4 + 8 * names.length);
  list.write('lh', 0, 'latin1');
  list.writeUInt16LE(names.length, 2);
  names.forEach((name, index) => {
    const sum = [...name.toUpperCase()].reduce((at, one) => (Math.imul(at, 37) + one.charCodeAt(0)) >>> 0, 0);
    list.writeUInt32LE(offsets[index] ?? 0, 4 + 8 * index);
    list.writeUInt32LE(sum, 8 + 8 * index);
  });
  return list;
}

function dataOf(value: number | string | Buffer): Buffer {
  if (typeof value === 'string') return Buffer.from(`${value}\0`, 'utf16le');
  if (typeof value !== 'number') return value;
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value);
  return data;
}
