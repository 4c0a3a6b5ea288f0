import fc from 'fast-check';
import { hash } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockMemory } from '../../blocks/memory';
import { BLOCK_SIZE } from '../../blocks/port';
import { isZero } from '../../blocks/zero';
import { storeChangedBlocks } from '../../repository/new-backup/backup-disk';
import { BackupJournal } from '../../repository/new-backup/backup-journal';
import { type BackupMemory, BufferPool, EXTENT_BLOCKS } from '../../repository/new-backup/backup-memory';
import { encodeBlock } from '../../repository/packs/block-encoder';
import { BlockMap } from '../../repository/maps/block-map';
import { MAP_PAGE_BLOCKS, PACK_BYTES } from '../../repository/maps/block-map-format';
import { planReads, readBlocks } from '../../repository/packs/block-reader';
import { changedBlocks } from '../../repository/maps/changed-blocks';
import { type DiskArea } from '../../hypervisor/port';
import { type KnownAreas } from '../../repository/new-backup/disk-areas';
import { storeNumbered } from '../../repository/objects/numbered-object';
import { decodeBlock } from '../../repository/packs/pack';
import { looksRandom } from '../../repository/packs/random-looking';
import { entriesOf, entryOf } from '../support/block-maps';
import { collected } from '../support/collected';
import { loadedBlocks } from '../support/loaded-blocks';
import { MemoryObjectStore } from '../support/memory-object-store';
import { patternBlock, type Pattern } from '../support/synthetic-disk';

const FIRST = '20261123T181500Z-00000001';
const SECOND = '20261123T191500Z-00000002';
const { signal: never } = new AbortController();

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-backup-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** A disk of any size, of which only the blocks that are not zero take memory. */
class SparseDisk {
  readonly reads: number[] = [];
  constructor(
    readonly sizeBytes: number,
    readonly patterns: Map<number, Pattern>,
  ) {}

  static of(patterns: readonly Pattern[], sizeBytes = patterns.length * BLOCK_SIZE): SparseDisk {
    return new SparseDisk(sizeBytes, new Map(patterns.map((pattern, index) => [index, pattern])));
  }

  block(index: number): Buffer {
    const block = patternBlock(this.patterns.get(index) ?? 'zero');
    return block.fill(0, Math.max(0, Math.min(BLOCK_SIZE, this.sizeBytes - index * BLOCK_SIZE)));
  }

  readRange(index: number, count: number, into: Buffer): Promise<boolean[]> {
    const hasData: boolean[] = [];
    for (let n = 0; n < count; n++) {
      this.reads.push(index + n);
      // Blocks of zeros are told, and what is in `into` for them must not matter.
      const hasBytes = (this.patterns.get(index + n) ?? 'zero') !== 'zero';
      if (hasBytes) this.block(index + n).copy(into, n * BLOCK_SIZE);
      hasData.push(hasBytes && !isZero(into.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE)));
    }
    return Promise.resolve(hasData);
  }
}

interface Options {
  store: MemoryObjectStore;
  backupId?: string;
  previous?: BlockMap;
  known?: KnownAreas;
  signal?: AbortSignal;
  memory?: BackupMemory;
}

const journalOf = (backupId: string): string => join(directory, backupId);

async function backUp(
  disk: SparseDisk,
  { store, backupId = FIRST, previous, known, signal = never, memory }: Options,
) {
  const journal = await BackupJournal.open(journalOf(backupId), ['db', backupId], () =>
    Promise.resolve(undefined),
  );
  try {
    const bytes = await storeChangedBlocks({
      store,
      vm: 'db',
      backupId,
      diskKey: 'data',
      sizeBytes: disk.sizeBytes,
      source: disk,
      previous,
      known,
      journal,
      signal,
      memory,
      onProgress: () => undefined,
    });
    return { map: BlockMap.parse(store, 'db', bytes), bytes, sentAgain: journal.sentAgain };
  } finally {
    await journal.close();
  }
}

async function expectSame(store: MemoryObjectStore, map: BlockMap, disk: SparseDisk): Promise<void> {
  expect(map.diskSizeBytes).toBe(disk.sizeBytes);
  const blocks = [...disk.patterns.keys()].filter((index) => !isZero(disk.block(index)));
  expect((await entriesOf(map)).map(({ index }) => index)).toEqual(blocks.sort((a, b) => a - b));
  for await (const { index, block } of loadedBlocks(readBlocks(store, changedBlocks(map), never)))
    expect(block.equals(disk.block(index))).toBe(true);
}

const random = (n: number | string): Pattern => ({ random: String(n) });
const packs = (store: MemoryObjectStore): string[] =>
  [...store.objects.keys()].filter((key) => key.includes('/packs/'));
/** What a map says of a disk's content, wherever it is stored. */
const contentOf = async (map: BlockMap) =>
  (await entriesOf(map)).map(({ index, sha256 }) => [index, sha256.toString('hex')]);
const areasOf = (indexes: Iterable<number>): DiskArea[] =>
  [...indexes]
    .sort((a, b) => a - b)
    // Part of a block is enough for the whole of it to be looked at.
    .map((index) => ({ offset: index * BLOCK_SIZE + 512, length: 512 }));

describe('backup of a disk', () => {
  it('stores what is not zero, and gives back every byte of a disk with a partial last block', async () => {
    const store = new MemoryObjectStore();
    const text: Pattern = { text: 'compressible ' };
    const patterns: Pattern[] = ['zero', random(1), text, 'zero', 'zero', random(5), { text: 'x' }];
    const disk = SparseDisk.of(patterns, 6 * BLOCK_SIZE + 512 * 3);
    const { map } = await backUp(disk, { store });
    expect([map.length, map.storedBlocks]).toEqual([4, 4]);
    expect((await entryOf(map, 2))?.encoding).toBe('zstd');
    expect((await entryOf(map, 2))!.length).toBeLessThan(BLOCK_SIZE / 10);
    expect((await entryOf(map, 5))?.encoding).toBe('raw');
    expect(map.storedBytes).toBe((await entriesOf(map)).reduce((sum, { length }) => sum + length, 0));
    await expectSame(store, map, disk);
  });

  it('stores only what changed since the previous backup, and knows zero from unchanged', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = Array.from({ length: 150 }, (_, n) => (n % 3 === 0 ? 'zero' : random(n)));
    const first = await backUp(SparseDisk.of(patterns), { store });
    const before = packs(store);
    expect(before.length).toBeGreaterThan(1);

    patterns[1] = random('changed');
    patterns[3] = { text: 'new' };
    patterns[149] = random('last');
    patterns[100] = 'zero';
    const disk = SparseDisk.of(patterns);
    const second = await backUp(disk, { store, backupId: SECOND, previous: first.map });

    const changed = (await collected(changedBlocks(second.map, first.map))).flat();
    expect(changed.map(({ index }) => index)).toEqual([1, 3, 100, 149]);
    expect(packs(store)).toHaveLength(before.length + 1);
    expect(second.map.storedBlocks).toBe(3);
    expect(await entryOf(second.map, 100)).toBeUndefined();
    expect(await entryOf(second.map, 2)).toEqual(await entryOf(first.map, 2));
    await expectSame(store, second.map, disk);
  });

  it('ends at a cancellation', async () => {
    const store = new MemoryObjectStore();
    const abort = new AbortController();
    store.beforePut = () => abort.abort(new Error('cancelled'));
    const disk = SparseDisk.of(Array.from({ length: 300 }, (_, n) => random(n)));
    await expect(backUp(disk, { store, signal: abort.signal })).rejects.toThrow('cancelled');
    expect(packs(store).length).toBeLessThan(6);
  });

  it('fails as its source does', async () => {
    const disk = SparseDisk.of(Array.from({ length: 100 }, (_, n) => random(n)));
    const readRange = disk.readRange.bind(disk);
    disk.readRange = (index, count, into) =>
      index === 72 ? Promise.reject(new Error('I/O error')) : readRange(index, count, into);
    await expect(backUp(disk, { store: new MemoryObjectStore() })).rejects.toThrow('I/O error');
  });

  it('refuses a block that was changed in its pack', async () => {
    const store = new MemoryObjectStore();
    const { map } = await backUp(SparseDisk.of([random(1), { text: 'abc' }]), { store });
    for (const index of [0, 1]) {
      const { pack, offset } = (await entryOf(map, index))!;
      const object = store.objects.get(pack)!;
      object[offset + 4] = object[offset + 4]! ^ 1;
    }
    const memory = await blockMemory.take();
    let damaged = 0;
    for await (const { load } of readBlocks(store, changedBlocks(map), never)) {
      await expect(load(memory.bytes)).rejects.toThrow(/is damaged/);
      damaged++;
    }
    memory.release();
    expect(damaged).toBe(2);
  });
});

/** Blocks around the bounds of pages; the rest of the disk, twelve pages, is zeros. */
const PAGES = 12;
const EDGES = Array.from({ length: PAGES }, (_, n) =>
  [-2, -1, 0, 1].map((by) => n * MAP_PAGE_BLOCKS + by),
).flat();
const changes = fc.dictionary(
  fc.constantFrom(...EDGES.filter((index) => index >= 0).map(String)),
  fc.oneof(
    fc.constant<Pattern>('zero'),
    fc.nat(9).map((n): Pattern => ({ text: `text ${n} ` })),
    fc.nat(9).map((n): Pattern => random(n)),
  ),
  { maxKeys: 12 },
);

const dataOf = ({ patterns }: SparseDisk): number[] =>
  [...patterns].filter(([, pattern]) => pattern !== 'zero').map(([index]) => index);

describe('areas that the hypervisor tells of', () => {
  it('let all be zeros that is outside, in pages that are read and in those that are not', async () => {
    const store = new MemoryObjectStore();
    const page = (n: number): number => n * MAP_PAGE_BLOCKS;
    const indexes = [0, 9, page(1) - 1, page(2), page(4) + 5];
    const disk = new SparseDisk(
      6 * page(1) * BLOCK_SIZE,
      new Map(indexes.map((index) => [index, random(index)])),
    );
    const { map: previous } = await backUp(disk, {
      store,
      known: { areas: areasOf(indexes), outside: 'zeros' },
    });
    for (const index of [0, page(1) - 1, page(2), page(4) + 5]) disk.patterns.set(index, 'zero');
    const known: KnownAreas = { areas: areasOf([9]), outside: 'zeros' };
    const { map } = await backUp(disk, { store, backupId: SECOND, previous, known });
    expect([map.length, map.storedBlocks]).toEqual([1, 0]);
    await expectSame(store, map, disk);
  });

  it('make the same backups as reading everything, over generations of random changes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 4 }), async (generations) => {
        await rm(directory, { recursive: true, force: true });
        const [told, read] = [new MemoryObjectStore(), new MemoryObjectStore()];
        const disk = new SparseDisk((PAGES - 1) * MAP_PAGE_BLOCKS * BLOCK_SIZE - 512, new Map());
        const inside = (index: number): boolean => index * BLOCK_SIZE < disk.sizeBytes - 512;
        let previous: { told?: BlockMap; read?: BlockMap } = {};
        for (const [n, change] of generations.entries()) {
          const indexes = Object.keys(change).map(Number).filter(inside);
          for (const index of indexes) disk.patterns.set(index, change[index]!);
          const backupId = `20261123T18150${n}Z-0000000${n}`;
          const known: KnownAreas =
            n === 0 || n === 2
              ? { areas: areasOf(dataOf(disk)), outside: 'zeros' }
              : { areas: areasOf(indexes), outside: 'as before' };
          disk.reads.length = 0;
          const withAreas = await backUp(disk, { store: told, backupId, previous: previous.told, known });
          expect(disk.reads.sort((a, b) => a - b)).toEqual(
            known.areas.map(({ offset }) => Math.floor(offset / BLOCK_SIZE)),
          );
          await rm(journalOf(backupId));
          const whole = await backUp(disk, { store: read, backupId, previous: previous.read });
          await rm(journalOf(backupId));
          await expectSame(told, withAreas.map, disk);
          expect(await contentOf(whole.map)).toEqual(await contentOf(withAreas.map));
          expect(whole.map.storedBlocks).toBe(withAreas.map.storedBlocks);
          previous = { told: withAreas.map, read: whole.map };
        }
      }),
      { numRuns: 6 },
    );
  }, 120_000);

  it('let a disk of 64 TiB be backed up in the time of its data, and again without reading shared pages', async () => {
    const store = new MemoryObjectStore();
    const size = 64 * 2 ** 40;
    const indexes = [0, 5_000_000, 100_000_000, size / BLOCK_SIZE - 1];
    const disk = new SparseDisk(size, new Map(indexes.map((index) => [index, random(index)])));
    const known: KnownAreas = { areas: areasOf(indexes), outside: 'zeros' };
    const first = await backUp(disk, { store, known });
    expect(disk.reads).toEqual(indexes);
    await expectSame(store, first.map, disk);

    disk.patterns.set(100_000_000, random('new'));
    store.ranges.length = 0;
    const stored = new Set(store.objects.keys());
    const next: KnownAreas = { areas: areasOf([100_000_000]), outside: 'as before' };
    const options = { store, backupId: SECOND, previous: first.map, known: next };
    const second = await backUp(disk, options);
    expect(store.ranges).toHaveLength(1);
    const added = [...store.objects].filter(([key]) => !stored.has(key) && key.includes('/maps/'));
    expect(added.map(([, { length }]) => length)).toEqual([expect.any(Number)]);
    expect(added[0]![1].length + second.bytes.length).toBeLessThan(2000);
    await expectSame(store, second.map, disk);
  });

  it('are refused where they are not ascending, overlap, or lie beyond the disk', async () => {
    const disk = SparseDisk.of([random(1), random(2)]);
    const refused = (areas: DiskArea[]) =>
      backUp(disk, { store: new MemoryObjectStore(), known: { areas, outside: 'zeros' } });
    const area = { offset: 512, length: 1024 };
    await expect(refused([area, { offset: 1024, length: 512 }])).rejects.toThrow(/does not follow/);
    await expect(refused([{ offset: 2 * BLOCK_SIZE, length: 512 }])).rejects.toThrow(/not on the disk/);
    await expect(refused([{ offset: 0, length: -512 }])).rejects.toThrow(/does not follow/);
  });
});

describe('a backup that is killed', () => {
  const patterns: Pattern[] = Array.from({ length: 260 }, (_, n) =>
    n % 5 === 0 ? 'zero' : n % 3 === 0 ? { text: `text ${n} ` } : random(n),
  );

  /** Fails all writes from the n-th on, as if the process had died: some of the packs under way arrive, some do not. */
  function killAt(store: MemoryObjectStore, n: number): void {
    let puts = 0;
    store.beforePut = () => {
      if (++puts >= n) throw new Error('killed');
    };
  }

  it('goes on where it was, at whatever write: the map is the same, no recorded pack is stored again', async () => {
    const disk = SparseDisk.of(patterns);
    const clean = new MemoryObjectStore();
    const { map: expected } = await backUp(disk, { store: clean });
    const writes = clean.objects.size;
    expect(writes).toBeGreaterThan(5);
    for (let n = 1; n <= writes; n++) {
      await rm(directory, { recursive: true });
      const store = new MemoryObjectStore();
      killAt(store, n);
      await expect(backUp(disk, { store })).rejects.toThrow('killed');
      const puts: string[] = [];
      store.beforePut = (key) => void puts.push(key);
      const { map, sentAgain } = await backUp(disk, { store });
      expect(await contentOf(map)).toEqual(await contentOf(expected));
      expect([map.length, map.storedBlocks]).toEqual([expected.length, expected.storedBlocks]);
      // Packs under way when it was killed: four are in memory at most.
      expect(sentAgain).toBeLessThanOrEqual(4 * 64);
      expect(puts.length).toBeLessThanOrEqual(writes - (n - 1) + 4);
    }
  }, 120_000);

  it('goes on as an incremental one, with the zeros that it had seen, after being killed again and again', async () => {
    const store = new MemoryObjectStore();
    const { map: previous } = await backUp(SparseDisk.of(patterns), { store });
    const changed = patterns.map((pattern, n): Pattern =>
      n % 7 === 0 ? 'zero' : n % 2 === 0 ? random(`again ${n}`) : pattern,
    );
    const disk = SparseDisk.of(changed);
    const options = { store, backupId: SECOND, previous };
    let killed = 0;
    for (;;) {
      killAt(store, 2);
      try {
        const { map } = await backUp(disk, options);
        await expectSame(store, map, disk);
        break;
      } catch (error) {
        expect((error as Error).message).toBe('killed');
        killed++;
      }
    }
    expect(killed).toBeGreaterThan(2);
  });

  it('trusts no record that was torn, and reads only what is not recorded', async () => {
    const disk = SparseDisk.of(patterns);
    const store = new MemoryObjectStore();
    killAt(store, 4);
    await expect(backUp(disk, { store })).rejects.toThrow('killed');
    const journal = await readFile(journalOf(FIRST));
    await truncate(journalOf(FIRST), journal.length - 10);
    await appendFile(journalOf(FIRST), 'garbage');
    store.beforePut = () => undefined;
    disk.reads.length = 0;
    const { map } = await backUp(disk, { store });
    await expectSame(store, map, disk);
    expect(Math.min(...disk.reads)).toBeGreaterThan(0);
  });

  it('goes on over pages that were skipped, with areas that are told again', async () => {
    const store = new MemoryObjectStore();
    const size = 300 * MAP_PAGE_BLOCKS * BLOCK_SIZE;
    const indexes = Array.from({ length: 60 }, (_, n) => n * 5 * MAP_PAGE_BLOCKS + n);
    const disk = new SparseDisk(size, new Map(indexes.map((index) => [index, { text: `${index}` }])));
    const { map: previous } = await backUp(disk, {
      store,
      known: { areas: areasOf(indexes), outside: 'zeros' },
    });
    const some = indexes.filter((_, n) => n % 4 === 1);
    for (const index of some) disk.patterns.set(index, { text: `changed ${index}` });
    const known: KnownAreas = { areas: areasOf(some), outside: 'as before' };
    const options = { store, backupId: SECOND, previous, known };
    killAt(store, 8);
    await expect(backUp(disk, options)).rejects.toThrow('killed');
    store.beforePut = () => undefined;
    disk.reads.length = 0;
    const { map } = await backUp(disk, options);
    expect(disk.reads.length).toBeLessThan(some.length);
    await expectSame(store, map, disk);
  });

  it('goes on from a checkpoint, wherever it came, and its journal stays small', async () => {
    // Every page that is finished finds that it is time for a checkpoint.
    let now = Date.now();
    jest.spyOn(Date, 'now').mockImplementation(() => (now += 2000));
    const size = 12 * MAP_PAGE_BLOCKS * BLOCK_SIZE;
    const indexes = Array.from({ length: 240 }, (_, n) => Math.floor(n / 20) * MAP_PAGE_BLOCKS + 3 * n);
    const disk = new SparseDisk(
      size,
      new Map(indexes.map((index, n): [number, Pattern] => [index, { text: `${n % 7} ` }])),
    );
    const known: KnownAreas = { areas: areasOf(indexes), outside: 'zeros' };
    let store = new MemoryObjectStore();
    const { map: expected } = await backUp(disk, { store, known });
    const journal = await readFile(journalOf(FIRST), 'utf8');
    expect(journal.split('\n').filter((line) => line.includes('"skipped"')).length).toBeLessThan(3);
    const writes = store.objects.size;
    for (const n of [3, 7, writes - 1, writes]) {
      await rm(journalOf(FIRST));
      store = new MemoryObjectStore();
      killAt(store, n);
      await expect(backUp(disk, { store, known })).rejects.toThrow('killed');
      store.beforePut = () => undefined;
      disk.reads.length = 0;
      const { map } = await backUp(disk, { store, known });
      expect(await contentOf(map)).toEqual(await contentOf(expected));
      expect([map.storedBlocks, map.length]).toEqual([240, 240]);
      expect(disk.reads.length).toBeLessThan(240);
    }
    jest.restoreAllMocks();
  });

  it('elsewhere, without its journal, finds what is stored and stores nothing twice', async () => {
    const disk = SparseDisk.of(patterns);
    const store = new MemoryObjectStore();
    killAt(store, 4);
    await expect(backUp(disk, { store })).rejects.toThrow('killed');
    await rm(journalOf(FIRST));
    store.beforePut = () => undefined;
    const { map } = await backUp(disk, { store });
    await expectSame(store, map, disk);
    const clean = new MemoryObjectStore();
    await rm(journalOf(FIRST));
    await backUp(disk, { store: clean });
    // Where zstd made other bytes of the same block, which it may, a pack is stored beside the old one.
    expect(store.objects.size).toBeLessThanOrEqual(clean.objects.size + 1);
  });
});

describe('memory', () => {
  it('is shared by many disks, all of it given back, whatever fails', async () => {
    let packsOut = 0;
    let most = 0;
    const counting = new (class extends BufferPool {
      override async take(signal: AbortSignal) {
        const buffer = await super.take(signal);
        most = Math.max(most, ++packsOut);
        return buffer;
      }
      override give(buffer: Buffer) {
        packsOut--;
        super.give(buffer);
      }
    })(2, PACK_BYTES);
    const memory = { packs: counting, extents: new BufferPool(2, EXTENT_BLOCKS * BLOCK_SIZE) };
    const disks = Array.from({ length: 6 }, (_, d) =>
      SparseDisk.of(Array.from({ length: 80 }, (_, n) => random(`${d} ${n}`))),
    );
    const results = await Promise.allSettled(
      disks.map(async (disk, d) => {
        const store = new MemoryObjectStore();
        if (d === 3) store.beforePut = () => Promise.reject(new Error('no'));
        const { map } = await backUp(disk, { store, backupId: `20261123T18150${d}Z-0000000${d}`, memory });
        await expectSame(store, map, disk);
      }),
    );
    expect(results.map(({ status }) => status === 'rejected')).toEqual(disks.map((_, d) => d === 3));
    expect([packsOut, most]).toEqual([0, 2]);
    const taken = await Promise.all([memory.extents.take(never), memory.extents.take(never)]);
    expect(taken).toHaveLength(2);
  });

  it('is waited for in turn, and not by whoever gives up', async () => {
    const pool = new BufferPool(1, 10);
    const buffer = await pool.take(never);
    const abort = new AbortController();
    const [given, second] = [pool.take(abort.signal), pool.take(never)];
    abort.abort(new Error('given up'));
    await expect(given).rejects.toThrow('given up');
    pool.give(buffer);
    expect(await second).toBe(buffer);
  });
});

describe('packs', () => {
  it('are never overwritten, and found again where the bytes are the same', async () => {
    const store = new MemoryObjectStore();
    const keyOf = (n: number) => `pack-${n}`;
    await store.put('pack-0', Buffer.from('other'));
    for (let time = 0; time < 2; time++) {
      let n = 1;
      const stored = await storeNumbered(store, keyOf, 0, () => n++, Buffer.from('mine'), never);
      expect(stored).toEqual({ key: 'pack-1', n: 1 });
    }
    expect(store.objects.get('pack-0')!.toString()).toBe('other');
  });

  it('are read with few requests, each bounded, over several backups', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = Array.from({ length: 100 }, (_, n) => random(n));
    const first = await backUp(SparseDisk.of(patterns), { store });
    for (let n = 0; n < 100; n += 10) patterns[n] = random(`second ${n}`);
    const { map } = await backUp(SparseDisk.of(patterns), { store, backupId: SECOND, previous: first.map });
    const units = await collected(planReads(changedBlocks(map)));
    expect(units.reduce((sum, { entries }) => sum + entries.length, 0)).toBe(100);
    for (const { length } of units) expect(length).toBeLessThanOrEqual(2 * 2 ** 20);
    // 45 MiB in gaps of one block: neighbours are joined, the blocks between them are not read.
    expect(units.length).toBeLessThanOrEqual(40);
    const wanted = units.reduce((sum, { length }) => sum + length, 0);
    expect(wanted).toBeLessThan(60 * 2 ** 20);
  });
});

describe('blocks', () => {
  it('come back from packs whatever they hold, many encoded at once', async () => {
    const patterns = Array.from({ length: 40 }, (_, n): Pattern =>
      n % 4 === 0 ? random(n) : { text: `${n} ` },
    );
    await Promise.all(
      patterns.map(async (pattern, index) => {
        const block = patternBlock(pattern);
        // Half of it random: it is compressed, and hardly shrinks by half.
        if (index % 3 === 0) patternBlock(random(`half ${index}`)).copy(block, 0, 0, BLOCK_SIZE / 2);
        const plain = Buffer.from(block);
        const sha256 = hash('sha256', plain, 'buffer');
        const { bytes, encoding } = await encodeBlock(block);
        const entry = { index, pack: 'p', offset: 8, length: bytes.length, encoding, sha256 };
        expect((await decodeBlock(entry, bytes)).equals(plain)).toBe(true);
        expect(encoding).toBe(index % 4 === 0 ? 'raw' : 'zstd');
      }),
    );
  });

  it('are compressed in vain only where they look random all over', () => {
    expect(looksRandom(patternBlock(random(1)))).toBe(true);
    expect(looksRandom(patternBlock({ text: 'abcdefgh' }))).toBe(false);
    expect(looksRandom(Buffer.alloc(BLOCK_SIZE, 7))).toBe(false);
    expect(looksRandom(patternBlock(random(1)).fill(0, BLOCK_SIZE / 2, (BLOCK_SIZE * 3) / 4))).toBe(false);
  });
});

it('tells a block of zeros by all of its bytes', () => {
  const block = patternBlock('zero');
  expect(isZero(block)).toBe(true);
  block[BLOCK_SIZE - 1] = 1;
  expect(isZero(block)).toBe(false);
  expect(isZero(block.subarray(0, BLOCK_SIZE - 1))).toBe(true);
});
