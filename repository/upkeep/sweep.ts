import { forEachBounded } from '../../blocks/pipeline';
import { openBlockMap, readManifest } from '../backups/backups';
import { deleteUnlessHeld } from '../objects/object-lock';
import { ABANDONED_AFTER_SECONDS, type Collection, GRACE_SECONDS, protects, type Sight } from './sight';
import { type BlockMap } from '../maps/block-map';
import { DamagedObjectError } from '../objects/json-object';
import { manifestKey, parseVmKey } from '../objects/keys';
import { type BackupManifest } from '../backups/manifest';
import { ObjectNumbers } from '../objects/object-numbers';
import { endPin, removePin } from '../backups/pins';
import { referencedObjects } from '../backups/referenced-objects';
import { abandon, forget, isAbandoned } from '../backups/retirement';

/** Deletions under way at once; S3 takes 3,500 a second of a prefix. */
const DELETIONS = 16;
/** Deletions after which it is asked again whether this run may delete. */
const DELETIONS_A_CHECK = 256;
/**
 * Seconds that the end of an abandoned backup stays on record, so that its run, should it come back, finds out at once.
 * After that it still fails when it cannot find its pin.
 */
const ABANDONED_KEPT_SECONDS = 30 * 86_400;

/** What a sweep deleted, or would delete. */
export interface Swept {
  objects: number;
  bytes: number;
  /** Needed by nothing that stays, but too young to be deleted: a later sweep does. */
  waiting: { objects: number; bytes: number };
  /** Needed by nothing, and held by the bucket (S3 Object Lock, or what stores like S3 have for it); absent where it holds none. */
  held?: { objects: number; bytes: number };
  /** Ids of unfinished backups that were given up now. */
  abandoned: string[];
}

interface Deletable {
  key: string;
  bytes: number;
  /** The backup that stored it. */
  owner: string;
}

/** Marks of an object: needed by a backup that stays; by one that was retired, but not long enough ago. */
const STAYS = 1;
const GOES_LATER = 2;

/**
 * Deletes the objects of a VM that nothing needs, and the records of backups of which nothing is left.
 * @param unwanted backups in use that have been, or are to be, retired now
 */
export async function sweep(
  collection: Collection,
  sight: Sight,
  unwanted: ReadonlySet<string>,
): Promise<Swept> {
  const { store, vm, dryRun, signal, beforeChange } = collection;
  const old = (when: Date | undefined, seconds: number): boolean =>
    when !== undefined && sight.now.getTime() - when.getTime() >= seconds * 1000;
  const roots = await rootsOf(collection, sight, unwanted);
  const marks = await markNeeded(collection, roots);
  const swept: Swept = { objects: 0, bytes: 0, waiting: { objects: 0, bytes: 0 }, abandoned: [] };
  /** Objects that stay, and the newest of an unfinished backup's, by the backup that stored them. */
  const left = new Map<string, number>();
  const lastSign = new Map<string, number>();
  const sign = (id: string, when: Date): void =>
    void lastSign.set(id, Math.max(lastSign.get(id) ?? 0, when.getTime()));
  for (const { user, modified } of sight.pins) if ('backupId' in user) sign(user.backupId, modified);

  async function* deletable(): AsyncGenerator<Deletable> {
    for await (const object of store.list(`${vm}/`)) {
      const { backupId: owner, kind } = parseVmKey(vm, object.key) ?? {};
      if (owner === undefined || kind === 'manifest' || kind === 'retired') continue;
      const state = sight.states.get(owner);
      if (state === undefined) sign(owner, object.modified);
      const mark = marks.get(object.key);
      const ended = state !== undefined && (state.retired === undefined || old(state.retired, GRACE_SECONDS));
      if (mark === 0 && ended && old(object.modified, GRACE_SECONDS)) {
        swept.objects++;
        swept.bytes += object.bytes;
        yield { key: object.key, bytes: object.bytes, owner };
        continue;
      }
      left.set(owner, (left.get(owner) ?? 0) + 1);
      if (state === undefined || (mark & STAYS) !== 0) continue;
      swept.waiting.objects++;
      swept.waiting.bytes += object.bytes;
    }
  }

  let deletions = 0;
  await forEachBounded(deletable(), DELETIONS, signal, async ({ key, bytes, owner }) => {
    if (dryRun) return;
    if (deletions++ % DELETIONS_A_CHECK === 0) await beforeChange();
    if (await deleteUnlessHeld(store, key)) return;
    swept.objects--;
    swept.bytes -= bytes;
    // The next sweep tries again, as long as the backup's end is on record.
    left.set(owner, (left.get(owner) ?? 0) + 1);
    swept.held = { objects: (swept.held?.objects ?? 0) + 1, bytes: (swept.held?.bytes ?? 0) + bytes };
  });

  const stale = [...lastSign]
    .filter(([id, when]) => !sight.states.has(id) && old(new Date(when), ABANDONED_AFTER_SECONDS))
    .map(([id]) => id)
    .sort();
  if (dryRun) return { ...swept, abandoned: stale };
  for (const id of stale) {
    await beforeChange();
    if (await abandon(store, vm, id)) swept.abandoned.push(id);
  }
  await removeRecords();
  return swept;

  /** What is left of ended backups is deleted last, the mark of the end at the very last: a killed sweep is repeated. */
  async function removeRecords(): Promise<void> {
    for (const pin of sight.pins) {
      const { user, modified } = pin;
      const since = 'backupId' in user ? (sight.states.get(user.backupId)?.retired ?? modified) : modified;
      if (protects(pin, sight.states)) {
        if ('runId' in user && old(modified, ABANDONED_AFTER_SECONDS)) await endPin(store, vm, pin);
      } else if (old(since, GRACE_SECONDS)) await removePin(store, vm, user);
    }
    for (const [id, { manifest, retired }] of sight.states) {
      if (!old(retired, GRACE_SECONDS) || roots.has(id)) continue;
      signal.throwIfAborted();
      if (manifest !== undefined) {
        if (!old(retired, ABANDONED_KEPT_SECONDS) && (await isAbandoned(store, vm, id))) continue;
        await beforeChange();
        if (!(await deleteUnlessHeld(store, manifestKey(vm, id)))) continue;
      }
      if ((left.get(id) ?? 0) === 0) await forget(store, vm, id);
    }
  }
}

interface Root {
  manifest: BackupManifest;
  mark: typeof STAYS | typeof GOES_LATER;
}

/** Every backup whose objects may not be deleted now. */
async function rootsOf(
  { store, vm }: Collection,
  { now, states, manifests, needed }: Sight,
  unwanted: ReadonlySet<string>,
): Promise<Map<string, Root>> {
  const roots = new Map<string, Root>();
  for (const [id, manifest] of manifests)
    roots.set(id, { manifest, mark: unwanted.has(id) ? GOES_LATER : STAYS });
  for (const [id, { manifest: finished, retired }] of states) {
    if (finished === undefined || retired === undefined) continue;
    const recent = now.getTime() - retired.getTime() < GRACE_SECONDS * 1000;
    if (!recent && !needed.has(id)) continue;
    const manifest = await readManifest(store, vm, id);
    if (manifest !== undefined) roots.set(id, { manifest, mark: needed.has(id) ? STAYS : GOES_LATER });
  }
  return roots;
}

/** Marks every object that a root refers to; pages that one backup has like the one before are read once. */
async function markNeeded(
  { store, vm, signal }: Collection,
  roots: Map<string, Root>,
): Promise<ObjectNumbers> {
  const marks = new ObjectNumbers();
  /** By disk, the last map so far of a backup that stays. */
  const known = new Map<string, BlockMap>();
  for (const [, { manifest, mark }] of [...roots].sort(([a], [b]) => (a < b ? -1 : 1)))
    for (const disk of manifest.disks) {
      const needs = (key: string): void => marks.set(key, marks.get(key) | mark);
      try {
        needs(disk.blockMap);
        const map = await openBlockMap(store, vm, disk);
        for await (const { pages, packs } of referencedObjects(map, known.get(disk.key))) {
          signal.throwIfAborted();
          needs(pages);
          packs.forEach(needs);
        }
        if (mark === STAYS) known.set(disk.key, map);
      } catch (error) {
        // A retired backup may be damaged, or be under another collection's hands, and need not be kept whole.
        if (mark === STAYS || !(error instanceof DamagedObjectError)) throw error;
      }
    }
  return marks;
}
