import { pruneText } from '../../cli/repository-text';
import { listBackups } from '../../repository/backups/backups';
import { publishBackup } from '../../repository/backups/building-on';
import { backupStates } from '../../repository/backups/retirement';
import { collect, type Collected } from '../../repository/upkeep/collection';
import { MemoryObjectStore } from '../support/memory-object-store';
import { idAt, INDEXES, smallManifest, storeSmallDisk, VM } from '../support/small-backups';

const DAY_MS = 86_400_000;

/** A store that refuses to delete some objects, as one with a lock on them does. */
class LockingStore extends MemoryObjectStore {
  refuses: (key: string) => string | undefined = () => undefined;

  override async delete(key: string): Promise<void> {
    const refusal = this.refuses(key);
    if (refusal !== undefined) throw Object.assign(new Error(refusal), { name: 'AccessDenied' });
    await super.delete(key);
  }
}

describe('a sweep of backups that the bucket holds', () => {
  let store: LockingStore;
  let now: number;
  let ids: string[];

  const prune = (): Promise<Collected> =>
    collect({
      store,
      vm: VM,
      policies: [{ keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }],
      heldBackups: async () => new Set(),
      beforeChange: async () => undefined,
      sweep: 'now',
      dryRun: false,
      signal: new AbortController().signal,
    });
  const stored = (id: string): string[] => [...store.objects.keys()].filter((key) => key.includes(id));

  beforeEach(async () => {
    store = new LockingStore();
    now = Date.UTC(2026, 10, 1);
    store.clock = () => new Date(now);
    ids = [];
    for (let n = 0; n < 2; n++) {
      const takenAt = new Date(now);
      const backupId = idAt(takenAt, n);
      // Nothing in common, so that nothing of the first is needed by the second.
      const contents = new Map(INDEXES.slice(0, 3).map((index) => [index, n + 1]));
      const journal = { previous: ids.at(-1), packs: [] };
      const disk = await storeSmallDisk(store, { backupId, disk: 'system', contents, journal });
      await publishBackup(store, smallManifest(backupId, takenAt.toISOString(), [disk], ids.at(-1)));
      ids.push(backupId);
      now += DAY_MS;
    }
    await prune();
    now += 2 * DAY_MS;
  });

  it.each([
    'Access Denied because object protected by object lock.',
    'Object is WORM protected and cannot be overwritten',
  ])('leaves them, tells of them, and deletes them when the lock has ended (%s)', async (refusal) => {
    const [old = ''] = ids;
    const before = stored(old);
    const packs = before.filter((key) => key.includes('/packs/'));
    expect(packs.length).toBeGreaterThan(0);
    store.refuses = (key) => (packs.includes(key) ? refusal : undefined);
    const first = await prune();
    expect(first.swept?.held).toEqual({
      objects: packs.length,
      bytes: packs.reduce((sum, key) => sum + store.objects.get(key)!.length, 0),
    });
    expect(pruneText([first], false)).toContain(`${VM}: ${packs.length} objects (`);
    expect(stored(old)).toEqual(expect.arrayContaining(packs));
    // Its end stays on record, by which the next sweep knows that the rest is not needed.
    expect((await backupStates(store, VM)).get(old)?.retired).toBeDefined();
    expect((await prune()).swept?.held?.objects).toBe(packs.length);

    store.refuses = () => undefined;
    const last = await prune();
    expect(last.swept).not.toHaveProperty('held');
    expect(last.swept?.objects).toBe(packs.length);
    expect(stored(old)).toEqual([]);
    expect(await listBackups(store, VM)).toEqual(ids.slice(1));
  });

  it('keeps the record of a backup whose manifest is held', async () => {
    const [old = ''] = ids;
    store.refuses = (key) => (key.endsWith('manifest.json') ? 'protected by object lock' : undefined);
    await prune();
    expect(stored(old).some((key) => key.endsWith('manifest.json'))).toBe(true);
    expect((await backupStates(store, VM)).get(old)?.retired).toBeDefined();
    store.refuses = () => undefined;
    await prune();
    expect(stored(old)).toEqual([]);
  });

  it('fails where the role may not delete, which somebody has to mend', async () => {
    store.refuses = () => 'User: x is not authorized to perform: s3:DeleteObject';
    await expect(prune()).rejects.toThrow('not authorized');
  });
});
