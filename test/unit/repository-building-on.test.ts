import { listBackups, newestManifest, readManifest } from '../../repository/backups/backups';
import {
  continueBackup,
  MissingObjectsError,
  pinInUse,
  publishBackup,
} from '../../repository/backups/building-on';
import { AbandonedError, endPin, readPins, requirePin } from '../../repository/backups/pins';
import { abandon, isAbandoned, retire } from '../../repository/backups/retirement';
import { MemoryObjectStore } from '../support/memory-object-store';
import { idAt, INDEXES, smallManifest, storeSmallDisk, VM } from '../support/small-backups';

const FIRST = idAt(new Date('2026-11-01T00:00:00Z'), 1);
const SECOND = idAt(new Date('2026-11-02T00:00:00Z'), 2);
const user = { backupId: SECOND, disk: 'system' };

let store: MemoryObjectStore;
beforeEach(() => (store = new MemoryObjectStore()));

/** Stores a backup's disk, and gives the manifest that is still to be written. */
async function stored(backupId: string, version: number, previous?: string) {
  const contents = new Map(INDEXES.slice(0, 5).map((index, at) => [index, at === 0 ? version : 0]));
  const disk = await storeSmallDisk(store, {
    backupId,
    disk: 'system',
    contents,
    journal: { previous, packs: [] },
  });
  return smallManifest(backupId, '2026-11-01T00:00:00.000Z', [disk], previous);
}

describe('a backup that builds on another', () => {
  it('is told when that one is retired, or gone, and may use it by its id as long as it is there', async () => {
    await publishBackup(store, await stored(FIRST, 0));
    expect(await pinInUse(store, VM, user, [FIRST])).toBe(true);
    await retire(store, VM, FIRST, 'test');
    expect(await pinInUse(store, VM, user, [FIRST])).toBe(false);
    expect(await newestManifest(store, VM)).toBeUndefined();
    expect(await readManifest(store, VM, FIRST)).toMatchObject({ backupId: FIRST });
    expect(await pinInUse(store, VM, user, [idAt(new Date(0), 0)])).toBe(false);
  });

  it('does not become a recovery point where an object of its own or of the other is missing', async () => {
    await publishBackup(store, await stored(FIRST, 0));
    const manifest = await stored(SECOND, 1, FIRST);
    for (const key of [...store.objects.keys()].filter((name) => name.includes(`/packs/${SECOND}`))) {
      const body = store.objects.get(key)!;
      store.objects.delete(key);
      await expect(publishBackup(store, manifest)).rejects.toThrow(MissingObjectsError);
      expect(await listBackups(store, VM)).toEqual([FIRST]);
      await store.put(key, body);
    }
    // The page that changed refers to this pack of the first backup, too.
    const shared = `${VM}/packs/${FIRST}-system-0`;
    const body = store.objects.get(shared)!;
    store.objects.delete(shared);
    await expect(publishBackup(store, manifest)).rejects.toThrow(shared);
    await store.put(shared, body);
    await publishBackup(store, manifest);
    expect(await listBackups(store, VM)).toEqual([FIRST, SECOND]);
  });

  it('ends once: what was given up cannot be finished, and what was finished cannot be given up', async () => {
    await pinInUse(store, VM, user, []);
    const manifest = await stored(SECOND, 1);
    expect(await abandon(store, VM, SECOND)).toBe(true);
    await expect(publishBackup(store, manifest)).rejects.toThrow(AbandonedError);
    await expect(continueBackup(store, VM, user)).rejects.toThrow(AbandonedError);
    expect(await listBackups(store, VM)).toEqual([]);

    const finished = await stored(FIRST, 0);
    await publishBackup(store, finished);
    expect(await abandon(store, VM, FIRST)).toBe(false);
    expect(await isAbandoned(store, VM, FIRST)).toBe(false);
  });

  it('cannot go on without the pin that it began with', async () => {
    await expect(continueBackup(store, VM, user)).rejects.toThrow(AbandonedError);
    await pinInUse(store, VM, user, []);
    await continueBackup(store, VM, user);
  });
});

describe("a restore's pin", () => {
  it('is over when the collector says so, unless it was written again meanwhile', async () => {
    await publishBackup(store, await stored(FIRST, 0));
    const restore = { runId: 'run-1' };
    await pinInUse(store, VM, restore, [FIRST]);
    const [seen] = await readPins(store, VM);
    await pinInUse(store, VM, restore, [FIRST]);
    await endPin(store, VM, seen!);
    await requirePin(store, VM, restore);

    await endPin(store, VM, (await readPins(store, VM))[0]!);
    await expect(requirePin(store, VM, restore)).rejects.toThrow(AbandonedError);
    await expect(pinInUse(store, VM, restore, [FIRST])).rejects.toThrow(AbandonedError);
  });
});
