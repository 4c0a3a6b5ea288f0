import { mapAhead } from '../../blocks/pipeline';
import { readManifest } from '../backups/backups';
import { type BackupManifest } from '../backups/manifest';
import { type ObjectStore } from '../objects/object-store';
import { type Pin, pinsPrefix, readPins } from '../backups/pins';
import { keptBackups, type RetentionPolicy } from './retention';
import { type BackupState, backupStates, isAbandoned, retire } from '../backups/retirement';
import { sweep, type Swept } from './sweep';
import { z } from 'zod';

/**
 * Collection: takes backups that no policy keeps out of use, and deletes what nothing needs any more. docs/decisions/
 * 0010 has the whole protocol. What makes it safe beside backups, restores and other collections: objects are deleted
 * only where their backup was retired or abandoned at least {@link GRACE_SECONDS} ago, nothing refers to them, and
 * pins were read before manifests.
 */

const DAY_SECONDS = 86_400;
/**
 * Seconds from a backup's end to the deletion of its objects. Pins protect whoever uses a backup; this is for readers
 * without one (a check, an older release), and for people who see that they have lowered the wrong number.
 */
export const GRACE_SECONDS = DAY_SECONDS;
/**
 * Seconds without a sign of life after which an unfinished backup, or a restore's pin, is given up: twice as long as an
 * activity that copies may take in one go (workflows/run/profiles.ts).
 */
export const ABANDONED_AFTER_SECONDS = 14 * DAY_SECONDS;
/** Seconds between two sweeps, which list everything of a VM and read its block maps; retention itself is cheap. */
export const SWEEP_EVERY_SECONDS = DAY_SECONDS;

/** Manifests read at once. */
const READ_AHEAD = 8;

export interface Collection {
  store: ObjectStore;
  vm: string;
  /** What any of them keeps is kept. */
  policies: readonly RetentionPolicy[];
  /** Ids of backups that something outside of the repository refers to: DR copies and instances. */
  heldBackups(): Promise<ReadonlySet<string>>;
  /** Called before anything is retired or deleted; throws where that is not allowed any more. */
  beforeChange(): Promise<void>;
  /** Whether to sweep now, or once a day. */
  sweep: 'now' | 'when due';
  /** Changes nothing, and tells what would be done. */
  dryRun: boolean;
  signal: AbortSignal;
}

/** What a collection did, or would do. */
export interface Collected {
  vm: string;
  /** Backups that stay in use, newest first, and why. */
  kept: { backupId: string; takenAt: string; why: string[] }[];
  /** Ids of backups that were taken out of use now. */
  retired: string[];
  /** Absent where no sweep was due. */
  swept?: Swept;
}

/** What the collector knows when it decides. */
export interface Sight {
  /** The store's time. */
  now: Date;
  states: Map<string, BackupState>;
  /** Backups in use. */
  manifests: Map<string, BackupManifest>;
  pins: Pin[];
  /** Ids of backups that a run, a DR copy or an instance needs. */
  needed: ReadonlySet<string>;
}

/**
 * Collects the backups of one VM. May run beside anything, be killed anywhere, and be repeated.
 * @throws DamagedObjectError where it cannot be known what is needed: then nothing is deleted
 */
export async function collect(collection: Collection): Promise<Collected> {
  const { store, vm, dryRun, beforeChange } = collection;
  const { sight, sweptAt } = await look(collection);
  const kept = keptReasons(collection.policies, sight);
  const unwanted = [...sight.manifests.keys()].filter((id) => !kept.has(id)).sort();
  if (!dryRun)
    for (const id of unwanted) {
      await beforeChange();
      await retire(store, vm, id, 'no retention policy keeps it');
    }
  const result: Collected = {
    vm,
    kept: [...kept]
      .map(([backupId, why]) => ({
        backupId,
        takenAt: sight.manifests.get(backupId)!.takenAt,
        why: [...why],
      }))
      .sort((a, b) => Date.parse(b.takenAt) - Date.parse(a.takenAt) || (a.backupId < b.backupId ? 1 : -1)),
    retired: unwanted,
  };
  const sinceSweep = (sight.now.getTime() - sweptAt) / 1000;
  // A time in the future is no reason to wait.
  if (collection.sweep === 'when due' && sinceSweep >= 0 && sinceSweep < SWEEP_EVERY_SECONDS) return result;
  result.swept = await sweep(collection, sight, new Set(unwanted));
  if (!dryRun) await store.put(noteKey(vm), noteBody(sight.now));
  return result;
}

/** Reads, in the order on which the protocol rests: the time, pins, what is held outside, then states and manifests. */
async function look({
  store,
  vm,
  heldBackups,
  dryRun,
}: Collection): Promise<{ sight: Sight; sweptAt: number }> {
  const { now, sweptAt } = await readNote(store, vm, dryRun);
  const pins = await readPins(store, vm);
  const held = await heldBackups();
  const states = await backupStates(store, vm);
  const inUse = [...states].flatMap(([id, { manifest, retired }]) => (manifest && !retired ? [id] : []));
  const manifests = new Map<string, BackupManifest>();
  for await (const [id, manifest] of mapAhead(
    inUse,
    READ_AHEAD,
    async (id) => [id, await readManifest(store, vm, id)] as const,
  )) {
    if (manifest !== undefined) manifests.set(id, manifest);
    // Given up by a collector that was killed before it could say so in the listing.
    else if (!dryRun && (await isAbandoned(store, vm, id))) await retire(store, vm, id, 'abandoned');
  }
  const pinned = pins.filter((pin) => protects(pin, states)).flatMap(({ backups }) => backups);
  return { sight: { now, states, manifests, pins, needed: new Set([...held, ...pinned]) }, sweptAt };
}

/**
 * Whether a pin protects: a backup's for as long as it is unfinished and not given up; a restore's until it has been
 * declared over, which its restore sees, and which counts from the next collection on.
 */
export function protects({ user, backups }: Pin, states: Map<string, BackupState>): boolean {
  return 'runId' in user ? backups.length > 0 : states.get(user.backupId) === undefined;
}

function keptReasons(
  policies: readonly RetentionPolicy[],
  { manifests, needed }: Sight,
): Map<string, Set<string>> {
  const kept = new Map<string, Set<string>>();
  const keep = (id: string, why: string): void => void kept.set(id, (kept.get(id) ?? new Set()).add(why));
  for (const policy of policies)
    for (const [id, rules] of keptBackups(policy, [...manifests.values()]))
      for (const rule of rules) keep(id, rule);
  // Restores and backups take the greatest id for the newest, whatever a clock of the data centre said.
  const greatest = [...manifests.keys()].sort().at(-1);
  if (greatest !== undefined) keep(greatest, 'newest');
  for (const id of needed) if (manifests.has(id)) keep(id, 'in use');
  return kept;
}

const noteSchema = z.object({ version: z.literal(1), sweptAt: z.iso.datetime() });
const noteKey = (vm: string): string => `${pinsPrefix(vm)}collection.json`;
const noteBody = (sweptAt: Date): Buffer =>
  Buffer.from(JSON.stringify({ version: 1, sweptAt: sweptAt.toISOString() }));

/**
 * The store's present time, by writing an object and looking at its age: all ages are told by one clock then. The
 * object tells when the last sweep ended.
 */
async function readNote(
  store: ObjectStore,
  vm: string,
  dryRun: boolean,
): Promise<{ now: Date; sweptAt: number }> {
  const key = noteKey(vm);
  const present = await store.get(key);
  const parsed = noteSchema.safeParse(present === undefined ? undefined : parseNote(present.body));
  // What cannot be read is no more than a sweep too many.
  const sweptAt = parsed.success ? new Date(parsed.data.sweptAt) : new Date(0);
  if (dryRun) return { now: new Date(), sweptAt: sweptAt.getTime() };
  await store.put(key, noteBody(sweptAt));
  for await (const listed of store.list(key))
    if (listed.key === key) return { now: listed.modified, sweptAt: sweptAt.getTime() };
  throw new Error(`The object store does not list "${key}", which was written a moment ago.`);
}

function parseNote(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
