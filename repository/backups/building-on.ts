import { openBlockMap, readManifest, writeManifest } from './backups';
import { type BlockMap } from '../maps/block-map';
import { DamagedObjectError } from '../objects/json-object';
import { checkVmName } from '../objects/keys';
import { type BackupManifest } from './manifest';
import { ObjectNumbers } from '../objects/object-numbers';
import { ConflictError, type ObjectStore } from '../objects/object-store';
import { AbandonedError, pinBackups, type PinUser, removePin, requirePin } from './pins';
import { referencedObjects } from './referenced-objects';
import { isAbandoned, isRetired } from './retirement';

/** A backup that would refer to objects which are not there: it must not become a recovery point. */
export class MissingObjectsError extends Error {
  constructor(manifest: Pick<BackupManifest, 'vm' | 'backupId'>, missing: readonly string[]) {
    super(
      `The backup ${manifest.backupId} of ${manifest.vm} would refer to ${missing.length} objects that the repository ` +
        `lacks, such as "${missing[0]}": somebody has deleted them. Other recovery points may need them, too; ` +
        `"lifeboat repository check" tells which.`,
    );
    this.name = 'MissingObjectsError';
  }
}

type BackupUser = Extract<PinUser, { backupId: string }>;

/**
 * Pins what a run is going to use, then looks whether it may.
 * @returns false where one of the backups has been retired before the pin could be seen: choose again
 */
export async function pinInUse(
  store: ObjectStore,
  vm: string,
  user: PinUser,
  backups: readonly string[],
): Promise<boolean> {
  await pinBackups(store, vm, user, backups);
  for (const id of backups)
    if ((await isRetired(store, vm, id)) || (await readManifest(store, vm, id)) === undefined) return false;
  return true;
}

/**
 * To be called when a disk's backup goes on that was begun before.
 * @throws AbandonedError where it was given up meanwhile
 */
export async function continueBackup(store: ObjectStore, vm: string, user: BackupUser): Promise<void> {
  await requirePin(store, vm, user);
  // Written anew, so that it counts as alive for as long as a new one.
  await pinBackups(store, vm, user, []);
  if (await isAbandoned(store, vm, user.backupId)) throw new AbandonedError(vm, user);
}

/**
 * Makes a backup a recovery point, and gives its pins up. Calling it again is harmless.
 * @throws MissingObjectsError where it refers to objects that are not there
 * @throws AbandonedError where it was given up meanwhile
 */
export async function publishBackup(store: ObjectStore, manifest: BackupManifest): Promise<void> {
  const { vm, backupId } = manifest;
  const missing = await missingObjects(store, manifest);
  if (missing.length > 0) throw new MissingObjectsError(manifest, missing);
  try {
    await writeManifest(store, manifest);
  } catch (error) {
    if (error instanceof ConflictError && (await isAbandoned(store, vm, backupId)))
      throw new AbandonedError(vm, manifest);
    throw error;
  }
  await releasePins(store, manifest);
}

/** Gives up the pins of a backup that has ended. */
export async function releasePins(
  store: ObjectStore,
  { vm, backupId, disks }: Pick<BackupManifest, 'vm' | 'backupId'> & { disks: readonly { key: string }[] },
): Promise<void> {
  for (const { key } of disks) await removePin(store, vm, { backupId, disk: key });
}

/**
 * Objects that a backup without a manifest refers to and that are not there, by listing. Of pages that it has like the
 * backup that it builds on, only the page object is looked for: what they refer to was there when that one ended, and is
 * pinned since this one began.
 */
async function missingObjects(store: ObjectStore, manifest: BackupManifest): Promise<string[]> {
  const { vm } = manifest;
  const present = new ObjectNumbers();
  for (const kind of ['maps', 'packs'])
    for await (const { key } of store.list(`${checkVmName(vm)}/${kind}/`)) present.set(key, 1);
  const missing = new Set<string>();
  const look = (key: string): void => {
    if (present.get(key) === 0) missing.add(key);
  };
  const before = await previousMaps(store, manifest);
  for (const disk of manifest.disks) {
    const map = await openBlockMap(store, vm, disk);
    for (const n of map.pages()) look(map.pageRef(n)!.key);
    // A page that is missing cannot be read for its packs.
    if (missing.size > 0) break;
    for await (const { packs } of referencedObjects(map, before.get(disk.key))) packs.forEach(look);
  }
  return [...missing];
}

/** The maps that a backup builds on, by disk; none of a backup that is damaged, so that nothing of it is trusted. */
async function previousMaps(
  store: ObjectStore,
  { vm, previous }: BackupManifest,
): Promise<Map<string, BlockMap>> {
  const maps = new Map<string, BlockMap>();
  try {
    const manifest = previous === undefined ? undefined : await readManifest(store, vm, previous);
    for (const disk of manifest?.disks ?? []) maps.set(disk.key, await openBlockMap(store, vm, disk));
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    maps.clear();
  }
  return maps;
}
