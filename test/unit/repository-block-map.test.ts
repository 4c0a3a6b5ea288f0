import fc from 'fast-check';
import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import { BlockMap } from '../../repository/maps/block-map';
import {
  blockCount,
  BlockMapError,
  MAP_ENTRY_BYTES,
  MAP_HEADER_BYTES,
  MAP_PAGE_BLOCKS,
  MAP_REF_BYTES,
  type MapEntry,
  PAGE_HEADER_BYTES,
} from '../../repository/maps/block-map-format';
import { BlockMapWriter, type WriterState } from '../../repository/maps/block-map-writer';
import { changedBlocks, countChangedBlocks } from '../../repository/maps/changed-blocks';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { MapDirectory, MapDirectoryBuilder } from '../../repository/maps/map-directory';
import { MapPage } from '../../repository/maps/map-page';
import { MapPageBuilder } from '../../repository/maps/map-page-builder';
import { referencedObjects } from '../../repository/backups/referenced-objects';
import { BACKUP_ID, entriesOf, entryOf, openedMap, pageBytes, storeMap } from '../support/block-maps';
import { collected } from '../support/collected';
import { MemoryObjectStore } from '../support/memory-object-store';

const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
const pack = (n: number): string => `db/packs/20261123T181500Z-0123abcd-system-${n}`;

/** Four pages, the last of which is cut, as is its last block. */
const BLOCKS = 3 * MAP_PAGE_BLOCKS + 100;
const SIZE = BLOCKS * BLOCK_SIZE - 512;

/** Blocks anywhere, and around the bounds of pages more often than chance would have it. */
const index = fc.oneof(
  fc.nat(BLOCKS - 1),
  fc
    .tuple(fc.nat(3), fc.integer({ min: -2, max: 2 }))
    .map(([n, by]) => Math.min(BLOCKS - 1, Math.max(0, n * MAP_PAGE_BLOCKS + by))),
);

const entries = fc
  .uniqueArray(index, { maxLength: 60 })
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
            content: fc.nat(3),
          })
          .map(({ pack, offset, raw, stored, content }): MapEntry => ({
            index,
            pack,
            offset,
            encoding: raw ? 'raw' : 'zstd',
            length: raw ? BLOCK_SIZE : stored,
            sha256: digest(String(content)),
          })),
      ),
    ),
  );

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
const place = { n: 0, blocks: BLOCKS, vm: 'db' };

describe('block map', () => {
  it('gives back every entry that was put in', async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (list) => {
        const map = await openedMap(new MemoryObjectStore(), SIZE, list);
        expect([map.diskSizeBytes, map.blocks, map.length]).toEqual([SIZE, BLOCKS, list.length]);
        expect(map.pageCount).toBe(4);
        expect(await entriesOf(map)).toEqual(list);
        const present = new Set(list.map(({ index }) => index));
        for (const index of [0, 1, MAP_PAGE_BLOCKS - 1, MAP_PAGE_BLOCKS, BLOCKS - 1])
          if (!present.has(index)) expect(await entryOf(map, index)).toBeUndefined();
        for (const entry of list.slice(0, 5)) expect(await entryOf(map, entry.index)).toEqual(entry);
      }),
      { numRuns: 50 },
    );
  });

  it('takes kilobytes for 64 TiB that are nearly empty, and reads nothing but its directory to be opened', async () => {
    const store = new MemoryObjectStore();
    const size = 64 * 2 ** 40;
    const last = blockCount(size) - 1;
    const list = [two[0]!, { ...two[1]!, index: last }];
    const bytes = await storeMap(store, size, list);
    expect(bytes.length).toBeLessThan(1000);
    expect(store.objects.size).toBe(1);
    const map = BlockMap.parse(store, 'db', bytes);
    expect(store.ranges).toEqual([]);
    expect((await entryOf(map, last))?.index).toBe(last);
    await expect(map.page(5)).rejects.toThrow(RangeError);
  });

  it('has a directory of less than 2 MiB for 64 TiB of data', () => {
    const builder = new MapDirectoryBuilder(64 * 2 ** 40);
    const length = PAGE_HEADER_BYTES + MAP_PAGE_BLOCKS * MAP_ENTRY_BYTES + 5000;
    for (let n = 0; n < 16384; n++) {
      const key = `db/maps/20261123T181500Z-0123abcd-system-${n}`;
      builder.add(n, { key, offset: 0, length, sha256: digest(String(n)), entries: MAP_PAGE_BLOCKS });
    }
    const bytes = builder.finish({ storedBlocks: 0, storedBytes: 0 });
    expect(bytes.length).toBeLessThan(2 * 2 ** 20);
    expect(MapDirectory.parse(bytes, 'db').find(16383)?.sha256).toEqual(digest('16383'));
  });

  it('is written in several objects, and on from any state in another process', async () => {
    const list = Array.from({ length: 3 * MAP_PAGE_BLOCKS }, (_, index) => ({ ...two[0]!, index }));
    const [whole, parted] = [new MemoryObjectStore(), new MemoryObjectStore()];
    const expected = await storeMap(whole, SIZE, list);
    expect(whole.objects.size).toBe(3);
    const of = { vm: 'db', backupId: BACKUP_ID, diskKey: 'system', sizeBytes: SIZE };
    let state: WriterState | undefined;
    for (let n = 0; n < 3; n++) {
      const writer: BlockMapWriter = new BlockMapWriter(
        { ...of, store: parted, signal: new AbortController().signal },
        state,
      );
      const page = new MapPageBuilder(n, BLOCKS);
      for (const entry of list.slice(n * MAP_PAGE_BLOCKS, (n + 1) * MAP_PAGE_BLOCKS)) page.add(entry);
      await writer.add(page);
      state = writer.state;
      if (n === 2)
        expect((await writer.finish({ storedBlocks: 0, storedBytes: 0 })).equals(expected)).toBe(true);
    }
    expect([...parted.objects]).toEqual([...whole.objects]);
  });

  it('refuses a directory with any byte changed, or cut at any place', async () => {
    await fc.assert(
      fc.asyncProperty(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), async (list, where, flip) => {
        const store = new MemoryObjectStore();
        const bytes = await storeMap(store, SIZE, list);
        const at = where % bytes.length;
        const damaged = Buffer.from(bytes);
        damaged[at] = damaged[at]! ^ flip;
        expect(() => BlockMap.parse(store, 'db', damaged)).toThrow(BlockMapError);
        expect(() => BlockMap.parse(store, 'db', bytes.subarray(0, at))).toThrow(BlockMapError);
      }),
    );
  });

  it('refuses a page with any byte changed, cut, or gone, and names its object', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (where, flip) => {
        const store = new MemoryObjectStore();
        const map = await openedMap(store, SIZE, two);
        const { key } = map.pageRef(0)!;
        const object = store.objects.get(key)!;
        const at = where % object.length;
        object[at] = object[at]! ^ flip;
        await expect(map.page(0)).rejects.toThrow(DamagedObjectError);
        await expect(map.page(0)).rejects.toThrow(key);
        store.objects.set(key, object.subarray(0, at));
        await expect(map.page(0)).rejects.toThrow(DamagedObjectError);
        store.objects.delete(key);
        await expect(map.page(0)).rejects.toThrow(DamagedObjectError);
      }),
    );
  });

  it('refuses a page whose digest fits but whose entries do not', async () => {
    const store = new MemoryObjectStore();
    const forged = pageBytes(0, SIZE, two);
    forged.writeUInt32BE(2, forged.length - MAP_ENTRY_BYTES);
    const key = 'db/maps/20261123T181500Z-0123abcd-system-0';
    await store.put(key, forged);
    const builder = new MapDirectoryBuilder(SIZE);
    const sha256 = hash('sha256', forged, 'buffer');
    builder.add(0, { key, offset: 0, length: forged.length, sha256, entries: 2 });
    const map = BlockMap.parse(store, 'db', builder.finish({ storedBlocks: 0, storedBytes: 0 }));
    await expect(map.page(0)).rejects.toThrow(DamagedObjectError);
    await expect(map.page(0)).rejects.toThrow(/block 2 follows block 3/);
  });

  it('never fails in another way than its own, however the bytes were made up', async () => {
    const noise = fc.uint8Array({ minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(entries, fc.nat(), noise, async (list, where, noise) => {
        const bytes = resealed(await storeMap(new MemoryObjectStore(), SIZE, list), (body) =>
          body.set(noise, where % (body.length - 8)),
        );
        const first = list.filter(({ index }) => index < MAP_PAGE_BLOCKS);
        const page = pageBytes(0, SIZE, first);
        page.set(noise, where % (page.length - 8));
        try {
          const directory = MapDirectory.parse(bytes, 'db');
          for (let n = 0; n < directory.length; n++) expect(directory.numberAt(n)).toBeLessThan(4 * 2 ** 12);
          const parsed = MapPage.parse(page, place);
          for (let n = 0; n < parsed.length; n++) expect(parsed.at(n).index).toBeLessThan(MAP_PAGE_BLOCKS);
        } catch (error) {
          expect(error).toBeInstanceOf(BlockMapError);
        }
      }),
    );
  });

  it.each<[string, (page: Buffer, start: number) => void, RegExp]>([
    ['descending indexes', (page, start) => page.writeUInt32BE(7, start), /block 7 follows block 7/],
    [
      'an index of the next page',
      (page, start) => page.writeUInt32BE(MAP_PAGE_BLOCKS, start + MAP_ENTRY_BYTES),
      /past the end/,
    ],
    ['an offset before the first block', (page, start) => page.writeUInt32BE(7, start + 8), /of its pack/],
    ['an offset past any pack', (page, start) => page.writeUInt32BE(0xffff_ffff, start + 8), /of its pack/],
    ['no length', (page, start) => page.writeUInt32BE(2 ** 24, start + 12), /take 0 bytes/],
    ['an unknown encoding', (page, start) => page.writeUInt32BE(9 * 2 ** 24 + 100, start + 12), /encoding 9/],
    [
      'a pack that is not in the table',
      (page, start) => page.writeUInt32BE(1, start + 4),
      /not in the table/,
    ],
    ['another number', (page) => page.writeUInt32BE(1, 8), /page 1 stands/],
    ['too many entries', (page) => page.writeUInt32BE(0xffff_ffff, 12), /entries do not take/],
    ['too many packs', (page) => page.writeUInt32BE(0xffff_ffff, 16), /table/],
    [
      'a key that leads elsewhere',
      (page) => page.write('../', PAGE_HEADER_BYTES + 2, 'latin1'),
      /no such object of db/,
    ],
  ])('refuses a page with %s', (_, change, message) => {
    const bytes = pageBytes(0, SIZE, two);
    change(bytes, bytes.length - 2 * MAP_ENTRY_BYTES);
    expect(() => MapPage.parse(bytes, place)).toThrow(message);
  });

  it.each<[string, (body: Buffer, refs: number) => void, RegExp]>([
    [
      'descending pages',
      (body, refs) => body.writeUInt32BE(0, refs + MAP_REF_BYTES),
      /page 0 follows page 0/,
    ],
    ['a page past the end', (body, refs) => body.writeUInt32BE(4, refs + MAP_REF_BYTES), /past the end/],
    [
      'an object that is not in its table',
      (body, refs) => body.writeUInt32BE(1, refs + 4),
      /not in its table/,
    ],
    ['an offset past any object', (body, refs) => body.writeUInt32BE(2 ** 31, refs + 8), /of its object/],
    ['a page that is too short', (body, refs) => body.writeUInt32BE(60, refs + 12), /take 60 bytes/],
    ['a page that is too long', (body, refs) => body.writeUInt32BE(2 ** 31, refs + 12), /take 2147483648/],
    ['a page without entries', (body, refs) => body.writeUInt32BE(0, refs + 16), /have 0 entries/],
    [
      'more entries than blocks',
      (body, refs) => body.writeUInt32BE(101, refs + MAP_REF_BYTES + 16),
      /have 101 entries/,
    ],
    ['another sum of entries', (body) => body.writeUInt32BE(4, 28), /it says 4/],
    ['more stored than there is', (body) => body.writeUInt32BE(4, 32), /hardly stored/],
    ['more bytes than blocks hold', (body) => body.writeBigUInt64BE(2n ** 60n, 36), /hardly stored/],
    ['too many objects', (body) => body.writeUInt32BE(0xffff_ffff, 44), /table/],
    ['too many pages', (body) => body.writeUInt32BE(0xffff_ffff, 48), /pages do not take/],
    ['pages of other lengths', (body) => body.writeUInt32BE(4096, 16), /its pages do not have 8192/],
    ['a disk of 0 bytes', (body) => body.writeBigUInt64BE(0n, 20), /no size of a disk/],
    ['a disk without end', (body) => body.writeBigUInt64BE(2n ** 64n - 1n, 20), /no size of a disk/],
    ['version 1', (body) => body.writeUInt32BE(1, 8), /version 1; this release of Lifeboat reads 2 only/],
    [
      'a key that leads elsewhere',
      (body) => body.write('../', MAP_HEADER_BYTES + 2, 'latin1'),
      /no such object of db/,
    ],
  ])('refuses a directory with %s', async (_, change, message) => {
    const list = [...two, { ...two[0]!, index: 3 * MAP_PAGE_BLOCKS }];
    const bytes = await storeMap(new MemoryObjectStore(), SIZE, list);
    const refs = bytes.length - 32 - 2 * MAP_REF_BYTES;
    expect(() =>
      MapDirectory.parse(
        resealed(bytes, (body) => change(body, refs)),
        'db',
      ),
    ).toThrow(message);
  });

  it("refuses another VM's packs and pages", async () => {
    expect(() => MapPage.parse(pageBytes(0, SIZE, two), { ...place, vm: 'web' })).toThrow(/of web/);
    const bytes = await storeMap(new MemoryObjectStore(), SIZE, two);
    expect(() => MapDirectory.parse(bytes, 'web')).toThrow(/of web/);
  });

  it('does not build what it would not read', () => {
    const builder = new MapPageBuilder(0, BLOCKS);
    builder.add(two[1]!);
    expect(() => builder.add(two[0]!)).toThrow(BlockMapError);
    expect(() => builder.add({ ...two[0]!, index: 8, pack: 'x' })).toThrow(BlockMapError);
    expect(() => builder.add({ ...two[0]!, index: MAP_PAGE_BLOCKS })).toThrow(BlockMapError);
    expect(() => new MapDirectoryBuilder(1000)).toThrow(BlockMapError);
  });
});

describe('changedBlocks', () => {
  const expectedChanges = (older: readonly MapEntry[], newer: readonly MapEntry[]): number[] => {
    const hashes = (list: readonly MapEntry[]) =>
      new Map(list.map((entry) => [entry.index, entry.sha256.toString('hex')]));
    const [before, after] = [hashes(older), hashes(newer)];
    return [...new Set([...before.keys(), ...after.keys()])]
      .filter((index) => before.get(index) !== after.get(index))
      .sort((a, b) => a - b);
  };

  it('names what differs, changed, new and become zero, in the range asked for', async () => {
    await fc.assert(
      fc.asyncProperty(entries, entries, index, index, async (older, newer, a, b) => {
        const store = new MemoryObjectStore();
        const parent = await openedMap(store, SIZE, older);
        const map = await openedMap(store, SIZE, newer, '20261124T000000Z-00000000');
        const expected = expectedChanges(older, newer);
        const range = { from: Math.min(a, b), to: Math.max(a, b) };
        const changed = (await collected(changedBlocks(map, parent))).flat();
        expect(changed.map(({ index }) => index)).toEqual(expected);
        for (const { index, entry } of changed)
          expect(entry).toEqual(newer.find((candidate) => candidate.index === index));
        expect(await countChangedBlocks(map, parent)).toBe(expected.length);
        const ranged = (await collected(changedBlocks(map, parent, range))).flat();
        expect(ranged.map(({ index }) => index)).toEqual(
          expected.filter((index) => index >= range.from && index < range.to),
        );
        const full = (await collected(changedBlocks(map))).flat();
        expect(full.map(({ index }) => index)).toEqual(newer.map(({ index }) => index));
        expect(await countChangedBlocks(map)).toBe(newer.length);
      }),
      { numRuns: 50 },
    );
  });

  it('reads no page that both have alike, in whatever object', async () => {
    const store = new MemoryObjectStore();
    const older = [...two, { ...two[0]!, index: MAP_PAGE_BLOCKS }];
    const newer = [...two, { ...two[0]!, index: MAP_PAGE_BLOCKS, sha256: digest('new') }];
    const parent = await openedMap(store, SIZE, older);
    const map = await openedMap(store, SIZE, newer, '20261124T000000Z-00000000');
    expect(await collected(changedBlocks(map, map))).toEqual([]);
    expect(await countChangedBlocks(map)).toBe(3);
    expect(store.ranges).toEqual([]);
    const [[changed] = []] = await collected(changedBlocks(map, parent));
    expect(changed?.index).toBe(MAP_PAGE_BLOCKS);
    expect(store.ranges).toHaveLength(2);
  });

  it('refuses a parent of another size', async () => {
    const store = new MemoryObjectStore();
    const map = await openedMap(store, SIZE, two);
    const other = await openedMap(store, SIZE + 512, two);
    await expect(collected(changedBlocks(map, other))).rejects.toThrow(/no parent/);
    await expect(countChangedBlocks(map, other)).rejects.toThrow(/no parent/);
  });
});

it('tells the objects that a map needs, and of those that another has, nothing again', async () => {
  const store = new MemoryObjectStore();
  const map = await openedMap(store, SIZE, [...two, { ...two[0]!, index: MAP_PAGE_BLOCKS, pack: pack(9) }]);
  const pages = 'db/maps/20261123T181500Z-0123abcd-system-0';
  expect(await collected(referencedObjects(map))).toEqual([
    { page: 0, pages, packs: [pack(0)] },
    { page: 1, pages, packs: [pack(9)] },
  ]);
  expect(await collected(referencedObjects(map, map))).toEqual([]);
});
