import { hash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alignedBuffer } from '../../blocks/aligned';
import { BLOCK_SIZE } from '../../blocks/port';
import { BlockMap } from '../../repository/maps/block-map';
import { MAP_PAGE_BLOCKS, type MapEntry } from '../../repository/maps/block-map-format';
import { auditUnchanged, type AuditLimits } from '../../repository/new-backup/audit';
import { BackupJournal } from '../../repository/new-backup/backup-journal';
import { BufferPool, type BackupMemory } from '../../repository/new-backup/backup-memory';
import { type KnownAreas } from '../../repository/new-backup/disk-areas';
import { packKey } from '../../repository/objects/keys';
import { BACKUP_ID, storeMap } from '../support/block-maps';
import { MemoryObjectStore } from '../support/memory-object-store';
import { patternBlock } from '../support/synthetic-disk';

/** A disk of 40 GiB less some bytes, of which every fourth page holds data in every second block. */
const PAGES = 10;
const BLOCKS = PAGES * MAP_PAGE_BLOCKS - 3;
const SIZE = BLOCKS * BLOCK_SIZE - 512;
const DATA = patternBlock({ text: 'as before' });
const SHA256 = hash('sha256', DATA, 'buffer');

const hasData = (index: number): boolean => Math.floor(index / MAP_PAGE_BLOCKS) % 4 === 0 && index % 2 === 0;

let previous: BlockMap;
beforeAll(async () => {
  const store = new MemoryObjectStore();
  const entries: MapEntry[] = [];
  for (let index = 0; index < BLOCKS; index++)
    if (hasData(index))
      entries.push({
        index,
        pack: packKey('db', BACKUP_ID, 'system', 0),
        offset: 8,
        length: 100,
        encoding: 'zstd',
        sha256: SHA256,
      });
  previous = BlockMap.parse(store, 'db', await storeMap(store, SIZE, entries));
});

/** The disk as it was but for some blocks, which were read noted. */
function diskWith(changed: (index: number) => boolean) {
  const reads: number[] = [];
  return {
    reads,
    readRange(index: number, count: number, into: Buffer): Promise<boolean[]> {
      expect(count).toBe(1);
      reads.push(index);
      DATA.copy(into);
      if (changed(index) && hasData(index)) into.fill(1);
      return Promise.resolve([hasData(index) || changed(index)]);
    },
  };
}

const NOTHING_CHANGED: KnownAreas = { areas: [], outside: 'as before' };

function audit(
  source: ReturnType<typeof diskWith>,
  seed: string,
  { known = NOTHING_CHANGED, limits }: { known?: KnownAreas; limits?: Partial<AuditLimits> } = {},
) {
  const { signal } = new AbortController();
  return auditUnchanged({ source, sizeBytes: SIZE, known, previous, seed, signal, limits });
}

const pageOf = (index: number): number => Math.floor(index / MAP_PAGE_BLOCKS);

it('reads a bounded number of blocks, other ones by another seed, half of them with data', async () => {
  const disk = diskWith(() => false);
  expect(await audit(disk, 'one', { limits: { blocks: 200 } })).toEqual({
    seed: 'one',
    read: 200,
    of: BLOCKS,
  });
  expect(new Set(disk.reads).size).toBe(200);
  expect(disk.reads.every((index) => index < BLOCKS)).toBe(true);
  const withData = disk.reads.filter(hasData).length;
  expect(withData).toBeGreaterThan(25);
  expect(new Set(disk.reads.map(pageOf)).size).toBe(PAGES);

  const same = diskWith(() => false);
  await audit(same, 'one', { limits: { blocks: 200 } });
  expect(same.reads).toEqual(disk.reads);
  const other = diskWith(() => false);
  await audit(other, 'two', { limits: { blocks: 200 } });
  const both = other.reads.filter((index) => disk.reads.includes(index));
  expect(both.length).toBeLessThan(20);
});

it('fetches a bounded number of pages of the earlier map', async () => {
  const disk = diskWith(() => false);
  await audit(disk, 'one', { limits: { blocks: 100, pages: 4 } });
  const pages = new Set(disk.reads.map(pageOf));
  expect(pages.size).toBe(4);
  // Pages with data and pages without.
  expect([...pages].filter((page) => page % 4 === 0)).toHaveLength(2);
});

it('reads nothing of what is said to have changed, and all of the rest where that is little', async () => {
  const areas = [{ offset: 0, length: (BLOCKS - 50) * BLOCK_SIZE - 512 }];
  const disk = diskWith(() => false);
  const known: KnownAreas = { areas, outside: 'as before' };
  expect(await audit(disk, 'one', { known })).toEqual({ seed: 'one', read: 50, of: 50 });
  expect(disk.reads.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => BLOCKS - 50 + n));

  for (const lied of [BLOCKS - 50, BLOCKS - 1])
    expect(
      await audit(
        diskWith((index) => index === lied),
        'one',
        { known },
      ),
    ).toMatchObject({ mismatch: lied });
  const all = { areas: [{ offset: 0, length: SIZE }], outside: 'as before' } as const;
  expect(
    await audit(
      diskWith(() => true),
      'one',
      { known: all },
    ),
  ).toEqual({ seed: 'one', read: 0, of: 0 });
});

it('ends with the first block that is wrong, and stays in its time', async () => {
  const disk = diskWith(() => true);
  const found = await audit(disk, 'one');
  expect(disk.reads).toContain(found.mismatch);
  expect(disk.reads.length).toBeLessThanOrEqual(8);
  expect(
    await audit(
      diskWith(() => false),
      'one',
      { limits: { seconds: 0 } },
    ),
  ).toMatchObject({ read: 0 });
});

it('takes all outside for zeros where that is what is said', async () => {
  const known: KnownAreas = { areas: [{ offset: 0, length: 512 }], outside: 'zeros' };
  const found = await audit(
    diskWith(() => false),
    'one',
    { known },
  );
  expect(hasData(found.mismatch!)).toBe(true);
});

it('finds a fault in one block of a hundred as often as chance has it', async () => {
  let found = 0;
  for (let round = 0; round < 60; round++) {
    // The fault lies elsewhere each time, too.
    const changed = (index: number): boolean =>
      hash('sha256', `${round} ${index}`, 'buffer').readUInt32BE() % 100 === 0;
    const { mismatch } = await audit(diskWith(changed), `seed ${round}`, { limits: { blocks: 100 } });
    if (mismatch !== undefined) found++;
  }
  // 1 - 0.99^100 = 63 % of 60, which is 38, with a standard deviation of 3.7.
  expect(found).toBeGreaterThan(26);
  expect(found).toBeLessThan(50);
});

it('gives the memory back that it took, also where a read fails', async () => {
  const memory: BackupMemory = {
    packs: new BufferPool(1, 1),
    extents: new BufferPool(1, 8 * BLOCK_SIZE, alignedBuffer),
  };
  const { signal } = new AbortController();
  const failing = { readRange: () => Promise.reject(new Error('A bad sector.')) };
  const input = { sizeBytes: SIZE, known: NOTHING_CHANGED, previous, seed: 'one', signal, memory };
  await expect(auditUnchanged({ ...input, source: failing })).rejects.toThrow('A bad sector.');
  const found = await auditUnchanged({ ...input, source: diskWith(() => false), limits: { blocks: 10 } });
  expect(found.read).toBe(10);
  await expect(
    auditUnchanged({
      ...input,
      source: diskWith(() => false),
      signal: AbortSignal.abort(new Error('Enough.')),
    }),
  ).rejects.toThrow('Enough.');
});

it('stands in the journal, also after a checkpoint', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'audit-'));
  try {
    const open = () =>
      BackupJournal.open(join(directory, 'journal'), ['db'], () => Promise.resolve(undefined));
    const findings = { seed: 'one', read: 7, of: 9, mismatch: 3 };
    const journal = await open();
    expect([journal.audit, journal.isUnderWay]).toEqual([undefined, false]);
    await journal.addAudit(findings);
    await journal.close();
    const again = await open();
    expect([again.audit, again.isUnderWay]).toEqual([findings, false]);
    const short = { nextPage: 1, nextPack: 0, nextObject: 0, storedBlocks: 0, storedBytes: 0 };
    await again.replace({ ...short, directory: Buffer.alloc(0), pending: [] });
    await again.close();
    const last = await open();
    expect([last.audit, last.isUnderWay]).toEqual([findings, true]);
    await last.close();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
