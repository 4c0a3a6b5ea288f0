import fc from 'fast-check';
import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import { BlockMap, changedBlocks } from '../../repository/block-map';
import { BlockMapBuilder } from '../../repository/block-map-builder';
import {
  BlockMapError,
  MAP_ENTRY_BYTES,
  MAP_HEADER_BYTES,
  type MapEntry,
} from '../../repository/block-map-format';

const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
const pack = (n: number): string => `db/packs/20261123T181500Z-0123abcd-system-${n}`;

const entries = (blocks: number) =>
  fc
    .uniqueArray(fc.nat(blocks - 1), { maxLength: 60 })
    .map((indexes) => indexes.sort((a, b) => a - b))
    .chain((indexes) =>
      fc.tuple(
        ...indexes.map((index) =>
          fc
            .record({
              pack: fc.nat(4).map(pack),
              offset: fc.integer({ min: 8, max: 31 * 2 ** 20 }),
              raw: fc.boolean(),
              stored: fc.integer({ min: 1, max: BLOCK_SIZE - 1 }),
              content: fc.string(),
            })
            .map(({ pack, offset, raw, stored, content }): MapEntry => ({
              index,
              pack,
              offset,
              encoding: raw ? 'raw' : 'zstd',
              length: raw ? BLOCK_SIZE : stored,
              sha256: digest(content),
            })),
        ),
      ),
    );

const BLOCKS = 500;
const SIZE = BLOCKS * BLOCK_SIZE - 512;

function build(list: readonly MapEntry[], size = SIZE): Buffer {
  const builder = new BlockMapBuilder(size);
  for (const entry of list) builder.add(entry);
  return builder.finish();
}

/** The bytes with another body, and a checksum that fits it again. */
function resealed(bytes: Buffer, change: (body: Buffer) => void): Buffer {
  const body = Buffer.from(bytes.subarray(0, -32));
  change(body);
  return Buffer.concat([body, hash('sha256', body, 'buffer')]);
}

const two: MapEntry[] = [
  { index: 3, pack: pack(0), offset: 8, length: 100, encoding: 'zstd', sha256: digest('a') },
  { index: 7, pack: pack(0), offset: 108, length: BLOCK_SIZE, encoding: 'raw', sha256: digest('b') },
];
const entriesStart = (bytes: Buffer): number => bytes.length - 32 - 2 * MAP_ENTRY_BYTES;

describe('block map', () => {
  it('gives back every entry that was put in', () => {
    fc.assert(
      fc.property(entries(BLOCKS), (list) => {
        const map = BlockMap.parse(build(list), 'db');
        expect(map.diskSizeBytes).toBe(SIZE);
        expect(Array.from({ length: map.length }, (_, n) => map.at(n))).toEqual(list);
        for (const entry of list) expect(map.find(entry.index)).toEqual(entry);
        const present = new Set(list.map(({ index }) => index));
        for (let index = 0; index < BLOCKS; index += 37)
          if (!present.has(index)) expect(map.find(index)).toBeUndefined();
      }),
    );
  });

  it('refuses a map with any byte changed, or cut at any place', () => {
    fc.assert(
      fc.property(entries(BLOCKS), fc.nat(), fc.integer({ min: 1, max: 255 }), (list, where, flip) => {
        const bytes = build(list);
        const at = where % bytes.length;
        const damaged = Buffer.from(bytes);
        damaged[at] = damaged[at]! ^ flip;
        expect(() => BlockMap.parse(damaged)).toThrow(BlockMapError);
        expect(() => BlockMap.parse(bytes.subarray(0, at))).toThrow(BlockMapError);
      }),
    );
  });

  it('never fails in another way than its own, however the bytes were made up', () => {
    fc.assert(
      fc.property(
        entries(BLOCKS),
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        (list, where, noise) => {
          const bytes = resealed(build(list), (body) =>
            body.set(noise.subarray(0, 1 + (where % noise.length)), where % (body.length - 8)),
          );
          try {
            const map = BlockMap.parse(bytes);
            for (let n = 0; n < map.length; n++) expect(map.at(n).index).toBeLessThan(map.blocks);
          } catch (error) {
            expect(error).toBeInstanceOf(BlockMapError);
          }
        },
      ),
    );
  });

  it.each<[string, (body: Buffer, start: number) => void, RegExp]>([
    ['descending indexes', (body, start) => body.writeUInt32BE(7, start), /block 7 follows block 7/],
    [
      'an index past the end',
      (body, start) => body.writeUInt32BE(BLOCKS, start + MAP_ENTRY_BYTES),
      /past the end/,
    ],
    ['an offset before the first block', (body, start) => body.writeUInt32BE(7, start + 8), /of its pack/],
    ['an offset past any pack', (body, start) => body.writeUInt32BE(0xffff_ffff, start + 8), /of its pack/],
    ['no length', (body, start) => body.writeUInt32BE(2 ** 24, start + 12), /take 0 bytes/],
    ['an unknown encoding', (body, start) => body.writeUInt32BE(9 * 2 ** 24 + 100, start + 12), /encoding 9/],
    [
      'a pack that is not in the table',
      (body, start) => body.writeUInt32BE(1, start + 4),
      /not in its table/,
    ],
    ['too many entries', (body) => body.writeUInt32BE(0xffff_ffff, 24), /entries do not take/],
    ['too many packs', (body) => body.writeUInt32BE(0xffff_ffff, 28), /table/],
    ['a disk of 0 bytes', (body) => body.writeBigUInt64BE(0n, 16), /no size of a disk/],
    ['a disk without end', (body) => body.writeBigUInt64BE(2n ** 64n - 1n, 16), /no size of a disk/],
    ['another version', (body) => body.writeUInt32BE(2, 8), /version 2/],
    [
      'a key that leads elsewhere',
      (body) => body.write('../', MAP_HEADER_BYTES + 2, 'latin1'),
      /no pack of this VM/,
    ],
  ])('refuses %s', (_, change, message) => {
    const bytes = build(two);
    expect(() => BlockMap.parse(resealed(bytes, (body) => change(body, entriesStart(bytes))))).toThrow(
      message,
    );
  });

  it("refuses another VM's packs", () => {
    expect(() => BlockMap.parse(build(two), 'web')).toThrow(/no pack of this VM/);
  });

  it('does not build what it would not read', () => {
    const builder = new BlockMapBuilder(SIZE);
    builder.add(two[1]!);
    expect(() => builder.add(two[0]!)).toThrow(BlockMapError);
    expect(() => builder.add({ ...two[0]!, index: 8, pack: 'x' })).toThrow(BlockMapError);
    expect(() => new BlockMapBuilder(1000)).toThrow(BlockMapError);
  });
});

describe('changedBlocks', () => {
  it('names what differs: changed, new, and become zero', () => {
    fc.assert(
      fc.property(entries(BLOCKS), entries(BLOCKS), (older, newer) => {
        const parent = BlockMap.parse(build(older));
        const map = BlockMap.parse(build(newer));
        const hashes = (list: readonly MapEntry[]) =>
          new Map(list.map((entry) => [entry.index, entry.sha256.toString('hex')]));
        const [before, after] = [hashes(older), hashes(newer)];
        const expected = [...new Set([...before.keys(), ...after.keys()])]
          .filter((index) => before.get(index) !== after.get(index))
          .sort((a, b) => a - b);
        expect([...changedBlocks(map, parent)]).toEqual(expected);
        expect([...changedBlocks(map)]).toEqual(newer.map(({ index }) => index));
        expect(changedBlocks(map, map)).toHaveLength(0);
      }),
    );
  });

  it('refuses a parent of another size', () => {
    const other = BlockMap.parse(build(two, SIZE + 512));
    expect(() => changedBlocks(BlockMap.parse(build(two)), other)).toThrow(/no parent/);
  });
});
