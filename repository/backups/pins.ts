import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { parseJsonObject } from '../objects/json-object';
import { checkBackupId, checkDiskKey, checkVmName } from '../objects/keys';
import { ConflictError, type ObjectStore } from '../objects/object-store';

/**
 * Pins: what a run that is under way needs of backups that it did not make, `pins/<vm>/<user>.json`. A pin is written
 * before its backups are used, and the user looks after that whether they are still there. The collector first takes
 * a backup out of use and looks for pins after that. So one of the two always sees the other, without a lock.
 */

/** Who uses backups: the backup of a disk that builds on an earlier one, or a run that restores. */
export type PinUser = { backupId: string; disk: string } | { runId: string };

export interface Pin {
  user: PinUser;
  /** Ids of the backups that must stay; none where the pin has been declared over. */
  backups: string[];
  etag: string;
  /** When it was last written, by the store's clock. */
  modified: Date;
}

/** A run goes on after collection has given it up: what it stored, or was reading, may be gone. */
export class AbandonedError extends Error {
  constructor(vm: string, user: { backupId: string } | { runId: string }) {
    super(
      'backupId' in user
        ? `The backup ${user.backupId} of ${vm} was not continued for so long that it has been given up, and what it ` +
            `stored removed. Back ${vm} up again.`
        : `This restore of ${vm} took so long that the backup it reads is no longer kept for it. Restore ${vm} again.`,
    );
    this.name = 'AbandonedError';
  }
}

const pinSchema = z.object({
  version: z.literal(1),
  backups: z.array(z.string().regex(/^\d{8}T\d{6}Z-[0-9a-f]{8}$/)).max(100),
  /** Another one with every write, so that a pin that was written again is not taken for the one before. */
  written: z.string(),
  /** Set by the collector: the user has been given up. */
  over: z.literal(true).optional(),
});

const backupUser = /^backup-(\d{8}T\d{6}Z-[0-9a-f]{8})-([A-Za-z0-9-]{1,64})$/;
/** Run ids are Temporal's; the form is that of tags. */
const restoreUser = /^restore-([A-Za-z0-9][A-Za-z0-9._:-]{0,127})$/;

/** How often a pin is tried against another attempt of the same disk's backup; there is hardly ever one. */
const TRIES = 10;

/** Prefix under which the pins of a VM's backups are listed. */
export const pinsPrefix = (vm: string): string => `pins/${checkVmName(vm)}/`;

function pinKey(vm: string, user: PinUser): string {
  const name =
    'runId' in user
      ? `restore-${user.runId}`
      : `backup-${checkBackupId(user.backupId)}-${checkDiskKey(user.disk)}`;
  if (parseUser(name) === undefined) throw new Error(`A run cannot have the id ${JSON.stringify(name)}.`);
  return `${pinsPrefix(vm)}${name}.json`;
}

function parseUser(name: string): PinUser | undefined {
  const [, backupId, disk] = backupUser.exec(name) ?? [];
  if (backupId !== undefined && disk !== undefined) return { backupId, disk };
  const [, runId] = restoreUser.exec(name) ?? [];
  return runId === undefined ? undefined : { runId };
}

/**
 * Pins backups, besides what the user has pinned before. To be followed by a look whether they are still in use.
 * @throws AbandonedError where the user has been given up
 * @throws ConflictError where others keep writing the same pin
 */
export async function pinBackups(
  store: ObjectStore,
  vm: string,
  user: PinUser,
  backups: readonly string[],
): Promise<void> {
  const key = pinKey(vm, user);
  for (let tried = 1; ; tried++) {
    const present = await store.get(key);
    const before = present && parseJsonObject(key, present.body, pinSchema);
    if (before?.over === true) throw new AbandonedError(vm, user);
    const all = [...new Set([...(before?.backups ?? []), ...backups.map(checkBackupId)])];
    const body = pinBody({ backups: all });
    try {
      if (present === undefined) await store.putNew(key, body);
      else await store.putIfUnchanged(key, body, present.etag);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError) || tried === TRIES) throw error;
    }
  }
}

/** @throws AbandonedError where the user has no pin any more: collection removes one only after it has given the user up */
export async function requirePin(store: ObjectStore, vm: string, user: PinUser): Promise<void> {
  const key = pinKey(vm, user);
  const present = await store.get(key);
  if (present === undefined || parseJsonObject(key, present.body, pinSchema).over === true)
    throw new AbandonedError(vm, user);
}

/** Declares a pin over, so that its user finds out; unless the user has written it again since it was read. */
export async function endPin(store: ObjectStore, vm: string, { user, etag }: Pin): Promise<void> {
  try {
    await store.putIfUnchanged(pinKey(vm, user), pinBody({ backups: [], over: true }), etag);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
}

function pinBody(pin: { backups: string[]; over?: true }): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, ...pin, written: randomUUID() }));
}

/** Gives a pin up; one that is not there is no error. */
export async function removePin(store: ObjectStore, vm: string, user: PinUser): Promise<void> {
  await store.delete(pinKey(vm, user));
}

/** All pins of a VM's backups. @throws DamagedObjectError: what one that cannot be read protects, nobody knows */
export async function readPins(store: ObjectStore, vm: string): Promise<Pin[]> {
  const prefix = pinsPrefix(vm);
  const pins: Pin[] = [];
  for await (const { key, modified } of store.list(prefix)) {
    const user = key.endsWith('.json') ? parseUser(key.slice(prefix.length, -'.json'.length)) : undefined;
    if (user === undefined) continue;
    const object = await store.get(key);
    // Given up since it was listed: its user has ended.
    if (object === undefined) continue;
    const { backups } = parseJsonObject(key, object.body, pinSchema);
    pins.push({ user, backups, modified, etag: object.etag });
  }
  return pins;
}
