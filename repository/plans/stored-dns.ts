import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type RunContext } from '../../plan/run';
import { parseJsonObject } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import { type StoredName, storedName, type StoredRecordSet } from './record-set';

/**
 * What DNS said before Lifeboat changed it: `dns/<plan>/<generation>.json`, one object for each generation of the
 * plan's state that moved DNS. It is written before the change, and is all that the way home needs.
 */

const value = z.object({ ttl: z.int().min(0).max(2_147_483_647), values: z.array(z.ipv4()).min(1).max(400) });

/** A simple A record, as releases up to 0.2 stored it; `previous` is absent where there was none. */
const simpleRecord = z.object({
  name: z.string().min(1).max(255),
  type: z.literal('A'),
  previous: value.optional(),
  ours: value,
});

const namesSchema: z.ZodType<StoredName[]> = z.array(
  z.union([
    storedName,
    simpleRecord.transform(({ name, previous, ours }): StoredName => ({
      name,
      before: previous === undefined ? [] : [simpleSet(name, previous)],
      ours: [simpleSet(name, ours)],
    })),
  ]),
);

function simpleSet(name: string, { ttl, values }: z.output<typeof value>): StoredRecordSet {
  return { Name: `${name}.`, Type: 'A', TTL: ttl, ResourceRecords: values.map((Value) => ({ Value })) };
}

type Generation = Pick<RunContext, 'plan' | 'generation'>;

const directory = (plan: string) => `dns/${plan}/`;
const dnsKey = ({ plan, generation }: Generation) => `${directory(plan)}${generation}.json`;
const ttlKey = (plan: string) => `${directory(plan)}ttl.json`;

/** Names as an object of the repository has them, and the object's ETag. */
export interface StoredNames {
  names: StoredName[];
  etag: string;
}

async function read(store: ObjectStore, key: string): Promise<StoredNames | undefined> {
  const object = await store.get(key);
  if (object === undefined) return undefined;
  return { names: parseJsonObject(key, object.body, namesSchema), etag: object.etag };
}

async function write(
  store: ObjectStore,
  key: string,
  names: StoredName[],
  replaced: StoredNames | undefined,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(names));
  if (replaced === undefined) await store.putNew(key, body);
  else if (!isDeepStrictEqual(replaced.names, names)) await store.putIfUnchanged(key, body, replaced.etag);
}

/** What a generation stored; undefined where it stored nothing. @throws DamagedObjectError */
export function readStoredDns(store: ObjectStore, generation: Generation): Promise<StoredNames | undefined> {
  return read(store, dnsKey(generation));
}

/**
 * Stores a generation's names: as a new object, or over what the same generation stored before (`replaced`).
 * @throws ConflictError where somebody else stored names for the generation meanwhile
 */
export function storeDns(
  store: ObjectStore,
  generation: Generation,
  names: StoredName[],
  replaced?: StoredNames,
): Promise<void> {
  return write(store, dnsKey(generation), names, replaced);
}

/**
 * The names that were stored by the generations up to and including this one, newest first.
 * Generations after it belong to runs that fenced this one off.
 */
export async function readDnsHistory(store: ObjectStore, upTo: Generation): Promise<StoredName[][]> {
  const generations: number[] = [];
  for await (const { key } of store.list(directory(upTo.plan))) {
    const generation = Number(/\/(\d{1,15})\.json$/.exec(key)?.[1] ?? NaN);
    if (generation <= upTo.generation) generations.push(generation);
  }
  const history: StoredName[][] = [];
  for (const generation of generations.sort((a, b) => b - a)) {
    const stored = await readStoredDns(store, { plan: upTo.plan, generation });
    if (stored !== undefined) history.push(stored.names);
  }
  return history;
}

/**
 * Record sets whose TTL was lowered beforehand, with the TTL that they had: `dns/<plan>/ttl.json`, written before the change; no
 * entries where none is lowered. @throws DamagedObjectError
 */
export function readLoweredTtls(store: ObjectStore, plan: string): Promise<StoredNames | undefined> {
  return read(store, ttlKey(plan));
}

/** @throws ConflictError where somebody else stored some meanwhile */
export function storeLoweredTtls(
  store: ObjectStore,
  plan: string,
  names: StoredName[],
  replaced?: StoredNames,
): Promise<void> {
  return write(store, ttlKey(plan), names, replaced);
}
