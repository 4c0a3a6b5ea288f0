import { z } from 'zod';
import { backupsPrefix, manifestKey, parseVmKey, retiredKey } from '../objects/keys';
import { ConflictError, type ObjectStore } from '../objects/object-store';

/**
 * How backups end. None of these steps is ever undone, so that several collectors and whoever looks at an old listing
 * can only err towards keeping.
 *
 *   unfinished --manifest--> in use --retired.json--> retired --sweep--> gone
 *   unfinished --manifest.json saying that it is abandoned--> abandoned --sweep--> gone
 *
 * A retired backup stays readable by its id as long as something refers to it, but nothing new is built on it. That a
 * backup is abandoned is written where its manifest would be, as a new object: of the backup's end and its being given
 * up only one can happen.
 */

/** When the objects that tell the state of a backup were written, by the store's clock. */
export interface BackupState {
  manifest?: Date;
  retired?: Date;
}

const abandonedSchema = z.object({ version: z.literal(1), abandonedAt: z.iso.datetime() });

/** The states of all backups of a VM that have a manifest or an end, by id. */
export async function backupStates(store: ObjectStore, vm: string): Promise<Map<string, BackupState>> {
  const states = new Map<string, BackupState>();
  for await (const { key, modified } of store.list(backupsPrefix(vm))) {
    const { backupId, kind } = parseVmKey(vm, key) ?? {};
    if (backupId !== undefined && (kind === 'manifest' || kind === 'retired'))
      states.set(backupId, { ...states.get(backupId), [kind]: modified });
  }
  return states;
}

/** Whether a backup is retired or abandoned: nothing may be built on it any more. */
export async function isRetired(store: ObjectStore, vm: string, backupId: string): Promise<boolean> {
  return (await store.get(retiredKey(vm, backupId))) !== undefined;
}

/** Takes a backup out of use. @param reason for people who look into the bucket */
export async function retire(
  store: ObjectStore,
  vm: string,
  backupId: string,
  reason: string,
): Promise<void> {
  const body = Buffer.from(JSON.stringify({ version: 1, retiredAt: new Date().toISOString(), reason }));
  try {
    await store.putNew(retiredKey(vm, backupId), body);
  } catch (error) {
    // Somebody else has retired it: its time counts.
    if (!(error instanceof ConflictError)) throw error;
  }
}

/**
 * Gives an unfinished backup up: its manifest can never be written after that.
 * @returns false where it has been finished meanwhile
 */
export async function abandon(store: ObjectStore, vm: string, backupId: string): Promise<boolean> {
  try {
    const body = Buffer.from(JSON.stringify({ version: 1, abandonedAt: new Date().toISOString() }));
    await store.putNew(manifestKey(vm, backupId), body);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    if (!(await isAbandoned(store, vm, backupId))) return false;
  }
  await retire(store, vm, backupId, 'not continued for too long');
  return true;
}

/** Whether what is stored as a manifest says that the backup was given up. */
export function isAbandonment(body: Buffer): boolean {
  if (!body.includes('"abandonedAt"')) return false;
  try {
    return abandonedSchema.safeParse(JSON.parse(body.toString('utf8'))).success;
  } catch {
    // No JSON; who parses it as a manifest says so.
    return false;
  }
}

/** Whether a backup was given up before it was finished. */
export async function isAbandoned(store: ObjectStore, vm: string, backupId: string): Promise<boolean> {
  const present = await store.get(manifestKey(vm, backupId));
  return present !== undefined && isAbandonment(present.body);
}

/** Removes the last that is known of a backup whose other objects are all gone. */
export async function forget(store: ObjectStore, vm: string, backupId: string): Promise<void> {
  await store.delete(retiredKey(vm, backupId));
}
