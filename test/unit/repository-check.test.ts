import { readManifest } from '../../repository/backups/backups';
import { publishBackup } from '../../repository/backups/building-on';
import { check } from '../../repository/upkeep/check';
import { parseVmKey } from '../../repository/objects/keys';
import { pinBackups } from '../../repository/backups/pins';
import { retire } from '../../repository/backups/retirement';
import { MemoryObjectStore } from '../support/memory-object-store';
import {
  type Contents,
  idAt,
  INDEXES,
  readSmallDisk,
  smallManifest,
  storeSmallDisk,
  VM,
} from '../support/small-backups';

/** Two blocks on each of three pages. */
const BLOCKS = INDEXES.filter((_, at) => at % 4 < 2);

/** Three backups of two disks, each built on the one before, that share packs and pages. */
async function threeBackups(): Promise<{ store: MemoryObjectStore; ids: string[] }> {
  const store = new MemoryObjectStore();
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) {
    const takenAt = new Date(Date.UTC(2026, 10, 1 + n));
    const backupId = idAt(takenAt, n);
    const disks = [];
    for (const disk of ['system', 'data']) {
      // The two disks have nothing in common that an exchange could hide behind.
      const first = disk === 'system' ? 0 : 10;
      const contents: Contents = new Map(
        BLOCKS.map((index, at) => [index, first + (at % 3 === n || (disk === 'data' && at === 0) ? n : 0)]),
      );
      const journal = { previous: ids.at(-1), packs: [] };
      disks.push(await storeSmallDisk(store, { backupId, disk, contents, journal }));
    }
    await publishBackup(store, smallManifest(backupId, takenAt.toISOString(), disks, ids.at(-1)));
    ids.push(backupId);
  }
  return { store, ids };
}

const checked = (store: MemoryObjectStore, readData: boolean) =>
  check({ store, vm: VM, readData, signal: new AbortController().signal, onProgress: () => undefined });

/** The recovery points that cannot be read any more: the truth that a check has to find. */
async function broken(store: MemoryObjectStore, ids: string[]): Promise<string[]> {
  const found: string[] = [];
  for (const id of ids) {
    try {
      const manifest = await readManifest(store, VM, id);
      if (manifest === undefined) throw new Error('no manifest');
      for (const disk of manifest.disks) await readSmallDisk(store, disk);
    } catch {
      // However it fails, it is not whole.
      found.push(id);
    }
  }
  return found;
}

const suffering = ({ recoveryPoints }: Awaited<ReturnType<typeof check>>): string[] =>
  recoveryPoints.filter(({ whole }) => !whole).map(({ backupId }) => backupId);

describe('a check of the repository', () => {
  it('finds nothing wrong where nothing is, and reads what is shared once', async () => {
    const { store, ids } = await threeBackups();
    const result = await checked(store, true);
    expect(result.damages).toEqual([]);
    expect(result.recoveryPoints.map(({ backupId, whole }) => [backupId, whole])).toEqual(
      ids.map((id) => [id, true]),
    );
    const stored = await Promise.all(ids.map(async (id) => (await readManifest(store, VM, id))!.disks));
    const blocks = stored.flat().reduce((sum, { storedBlocks }) => sum + storedBlocks, 0);
    expect(result.read.blocks).toBe(blocks);
    const packReads = store.ranges.filter(({ key }) => key.includes('/packs/'));
    expect(new Set(packReads.map(({ key, offset }) => `${key} ${offset}`)).size).toBe(packReads.length);
  });

  it('finds every object that is missing, and the recovery points that suffer', async () => {
    const { store, ids } = await threeBackups();
    for (const key of [...store.objects.keys()]) {
      const body = store.objects.get(key)!;
      store.objects.delete(key);
      const truth = await broken(store, ids);
      expect(truth.length).toBeGreaterThan(0);
      const result = await checked(store, false);
      expect([key, suffering(result)]).toEqual([key, truth]);
      expect(result.damages).toContainEqual(expect.objectContaining({ key, recoveryPoints: truth }));
      store.objects.set(key, body);
    }
  });

  it('finds every object that was cut', async () => {
    const { store, ids } = await threeBackups();
    for (const [key, body] of [...store.objects]) {
      store.objects.set(key, body.subarray(0, body.length - 1));
      const truth = await broken(store, ids);
      const result = await checked(store, false);
      expect([key, suffering(result)]).toEqual([key, truth]);
      expect(truth.length).toBeGreaterThan(0);
      store.objects.set(key, body);
    }
  });

  it('finds a single bit that flipped, wherever it is', async () => {
    const { store, ids } = await threeBackups();
    for (const [at, [key, body]] of [...store.objects].entries()) {
      // Elsewhere in each of the objects, the beginnings and the ends of each kind among them.
      const position = [8, body.length - 1, Math.floor(body.length / 2), 20, 50][at % 5]!;
      const flipped = Buffer.from(body);
      flipped[position]! ^= 1 << (at % 8);
      store.objects.set(key, flipped);
      const truth = await broken(store, ids);
      expect([key, position, suffering(await checked(store, true))]).toEqual([key, position, truth]);
      expect(truth.length).toBeGreaterThan(0);
      store.objects.set(key, body);
    }
  });

  it('finds a pack that does not begin like one, which no reader would see', async () => {
    const { store, ids } = await threeBackups();
    const key = [...store.objects.keys()].find((name) => name.includes(`packs/${ids[2]}`))!;
    store.objects.get(key)![0]! ^= 1;
    const { damages } = await checked(store, true);
    expect(damages).toEqual([{ key, problems: ['it does not begin like a pack'], recoveryPoints: [ids[2]] }]);
  });

  it('finds two objects of a kind that were exchanged', async () => {
    const { store, ids } = await threeBackups();
    const keys = [...store.objects.keys()].sort();
    for (const [at, key] of keys.entries()) {
      const other = keys[(at + 1) % keys.length]!;
      if (parseVmKey(VM, key)?.kind !== parseVmKey(VM, other)?.kind) continue;
      const [mine, theirs] = [store.objects.get(key)!, store.objects.get(other)!];
      store.objects.set(key, theirs);
      store.objects.set(other, mine);
      const truth = await broken(store, ids);
      expect([key, suffering(await checked(store, true))]).toEqual([key, truth]);
      expect(truth.length).toBeGreaterThan(0);
      store.objects.set(key, mine);
      store.objects.set(other, theirs);
    }
  });

  it('takes what no recovery point needs for no damage', async () => {
    const { store, ids } = await threeBackups();
    const packs = [...store.objects].filter(([key]) => key.includes(`packs/${ids[2]}`));
    await retire(store, VM, ids[2]!, 'test');
    const underWay = idAt(new Date(Date.UTC(2026, 10, 9)), 9);
    const contents = new Map(BLOCKS.map((index) => [index, 5]));
    await pinBackups(store, VM, { backupId: underWay, disk: 'system' }, [ids[1]!]);
    await storeSmallDisk(store, {
      backupId: underWay,
      disk: 'system',
      contents,
      journal: { previous: ids[1], packs: [] },
    });
    const result = await checked(store, true);
    expect(result.damages).toEqual([]);
    expect(result.recoveryPoints.map(({ backupId }) => backupId)).toEqual(ids.slice(0, 2));
    expect(result.unneeded.objects).toBeGreaterThan(packs.length);
    expect(result.unneeded.bytes).toBeGreaterThan(packs.reduce((sum, [, { length }]) => sum + length, 0));
  });
});
