import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BLOCK_SIZE } from '../../blocks/port';
import { isZero } from '../../blocks/zero';
import { storeChangedBlocks } from '../../repository/backup-disk';
import { BackupJournal } from '../../repository/backup-journal';
import { BlockMap } from '../../repository/block-map';
import { planReads, readBlocks } from '../../repository/block-reader';
import { changedBlocks } from '../../repository/changed-blocks';
import { storeNumbered } from '../../repository/numbered-object';
import { entryOf } from '../support/block-maps';
import { collected } from '../support/collected';
import { MemoryObjectStore } from '../support/memory-object-store';
import { memorySource, patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';

const FIRST = '20261123T181500Z-00000001';
const SECOND = '20261123T191500Z-00000002';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-backup-'));
});
afterEach(() => rm(directory, { recursive: true }));

interface Options {
  store: MemoryObjectStore;
  backupId?: string;
  previous?: BlockMap;
  signal?: AbortSignal;
}

async function backUp(disk: Buffer, { store, backupId = FIRST, previous, signal }: Options) {
  const journal = await BackupJournal.open(join(directory, backupId), ['db', backupId], () =>
    Promise.resolve(undefined),
  );
  const source = memorySource(disk);
  try {
    const bytes = await storeChangedBlocks({
      store,
      vm: 'db',
      backupId,
      diskKey: 'data',
      sizeBytes: disk.length,
      source,
      previous,
      journal,
      signal: signal ?? new AbortController().signal,
      onProgress: () => undefined,
    });
    return { map: BlockMap.parse(store, 'db', bytes), sentAgain: journal.sentAgain, reads: source.reads };
  } finally {
    await journal.close();
  }
}

async function readBack(store: MemoryObjectStore, map: BlockMap): Promise<Buffer> {
  const disk = Buffer.alloc(map.blocks * BLOCK_SIZE);
  const all = Array.from({ length: map.blocks }, (_, index) => index);
  for await (const { index, load } of readBlocks(store, map, all, new AbortController().signal))
    (await load()).block.copy(disk, index * BLOCK_SIZE);
  return disk.subarray(0, map.diskSizeBytes);
}

const random = (n: number | string): Pattern => ({ random: String(n) });
const packs = (store: MemoryObjectStore) =>
  [...store.objects.keys()].filter((key) => key.includes('/packs/'));

describe('backup of a disk', () => {
  it('stores what is not zero, and gives back every byte of a disk with a partial last block', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = [
      'zero',
      random(1),
      { text: 'compressible ' },
      'zero',
      'zero',
      random(5),
      { text: 'x' },
    ];
    const disk = patternDisk(patterns, 6 * BLOCK_SIZE + 512 * 3);
    const { map } = await backUp(disk, { store });
    expect(map.length).toBe(4);
    expect((await entryOf(map, 2))?.encoding).toBe('zstd');
    expect((await entryOf(map, 2))!.length).toBeLessThan(BLOCK_SIZE / 10);
    expect((await entryOf(map, 5))?.encoding).toBe('raw');
    expect((await readBack(store, map)).equals(disk)).toBe(true);
  });

  it('stores only what changed since the previous backup, and knows zero from unchanged', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = Array.from({ length: 150 }, (_, n) => (n % 3 === 0 ? 'zero' : random(n)));
    const first = await backUp(patternDisk(patterns), { store });
    const before = packs(store);
    expect(before.length).toBeGreaterThan(1);

    patterns[1] = random('changed');
    patterns[3] = { text: 'new' };
    patterns[149] = random('last');
    patterns[100] = 'zero';
    const disk = patternDisk(patterns);
    const second = await backUp(disk, { store, backupId: SECOND, previous: first.map });

    expect((await collected(changedBlocks(second.map, first.map))).flat().map(({ index }) => index)).toEqual([
      1, 3, 100, 149,
    ]);
    expect(packs(store)).toHaveLength(before.length + 1);
    expect(await entryOf(second.map, 100)).toBeUndefined();
    expect(await entryOf(second.map, 2)).toEqual(await entryOf(first.map, 2));
    expect((await readBack(store, second.map)).equals(disk)).toBe(true);
  });

  it('goes on where it was killed: no pack that is stored is stored again', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = Array.from({ length: 300 }, (_, n) => random(n));
    const disk = patternDisk(patterns);
    const puts: string[] = [];
    store.beforePut = (key) => {
      puts.push(key);
      if (puts.length === 3) throw new Error('killed');
    };
    await expect(backUp(disk, { store })).rejects.toThrow('killed');
    const kept = packs(store);
    expect(kept).toHaveLength(2);

    store.beforePut = (key) => void puts.push(key);
    const resumed = await backUp(disk, { store });
    expect(puts.filter((key) => kept.includes(key))).toHaveLength(2);
    expect(Math.min(...resumed.reads)).toBeGreaterThan(100);
    // Of the third pack nobody knows whether it had arrived: its blocks count.
    expect(resumed.sentAgain).toBeGreaterThan(0);
    expect(resumed.sentAgain).toBeLessThanOrEqual(72);
    expect((await readBack(store, resumed.map)).equals(disk)).toBe(true);
  });

  it('resumes an incremental backup with the zeros that it had seen', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = Array.from({ length: 200 }, (_, n) => random(n));
    const first = await backUp(patternDisk(patterns), { store });
    patterns[5] = 'zero';
    for (let n = 10; n < 199; n++) patterns[n] = random(`again ${n}`);
    const disk = patternDisk(patterns);
    let puts = 0;
    store.beforePut = () => {
      if (++puts === 2) throw new Error('killed');
    };
    const options = { store, backupId: SECOND, previous: first.map };
    await expect(backUp(disk, options)).rejects.toThrow('killed');
    store.beforePut = () => undefined;
    const { map } = await backUp(disk, options);
    expect(await entryOf(map, 5)).toBeUndefined();
    expect(await entryOf(map, 199)).toEqual(await entryOf(first.map, 199));
    expect((await readBack(store, map)).equals(disk)).toBe(true);
  });

  it('ends at a cancellation', async () => {
    const store = new MemoryObjectStore();
    const abort = new AbortController();
    store.beforePut = () => abort.abort(new Error('cancelled'));
    const disk = patternDisk(Array.from({ length: 300 }, (_, n) => random(n)));
    await expect(backUp(disk, { store, signal: abort.signal })).rejects.toThrow('cancelled');
    expect(packs(store).length).toBeLessThan(4);
  });

  it('refuses a block that was changed in its pack', async () => {
    const store = new MemoryObjectStore();
    const { map } = await backUp(patternDisk([random(1), { text: 'abc' }]), { store });
    for (const index of [0, 1]) {
      const { pack, offset } = (await entryOf(map, index))!;
      const object = store.objects.get(pack)!;
      object[offset + 4] = object[offset + 4]! ^ 1;
    }
    for await (const { load } of readBlocks(store, map, [0, 1], new AbortController().signal))
      await expect(load()).rejects.toThrow(/is damaged/);
  });
});

describe('packs', () => {
  it('are never overwritten, and found again where the bytes are the same', async () => {
    const store = new MemoryObjectStore();
    const keyOf = (n: number) => `pack-${n}`;
    await store.put('pack-0', Buffer.from('other'));
    expect(await storeNumbered(store, keyOf, 0, Buffer.from('mine'))).toEqual({ key: 'pack-1', n: 1 });
    expect(await storeNumbered(store, keyOf, 0, Buffer.from('mine'))).toEqual({ key: 'pack-1', n: 1 });
    expect(store.objects.get('pack-0')!.toString()).toBe('other');
  });

  it('are read with few requests, each bounded, over several backups', async () => {
    const store = new MemoryObjectStore();
    const patterns: Pattern[] = Array.from({ length: 100 }, (_, n) => random(n));
    const first = await backUp(patternDisk(patterns), { store });
    for (let n = 0; n < 100; n += 10) patterns[n] = random(`second ${n}`);
    const { map } = await backUp(patternDisk(patterns), { store, backupId: SECOND, previous: first.map });
    const all = Array.from({ length: 100 }, (_, n) => n);
    const units = await collected(planReads(map, all));
    expect(units.reduce((sum, { entries }) => sum + entries.length, 0)).toBe(100);
    for (const { length } of units) expect(length).toBeLessThanOrEqual(8 * 2 ** 20);
    // 45 MiB in gaps of one block: neighbours are joined, the blocks between them are not read.
    expect(units.length).toBeLessThanOrEqual(12);
    const wanted = units.reduce((sum, { length }) => sum + length, 0);
    expect(wanted).toBeLessThan(60 * 2 ** 20);
  });
});

it('tells a block of zeros by all of its bytes', () => {
  const block = patternBlock('zero');
  expect(isZero(block)).toBe(true);
  block[BLOCK_SIZE - 1] = 1;
  expect(isZero(block)).toBe(false);
  expect(isZero(block.subarray(0, BLOCK_SIZE - 1))).toBe(true);
});
