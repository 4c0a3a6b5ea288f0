import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type StoredRecord } from '../../activities/aws-proxy/contract';
import { type RunContext } from '../../plan/run';
import { parseJsonObject } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';

/**
 * What DNS said before Lifeboat changed it: `dns/<plan>/<generation>.json`, one object for each generation of the
 * plan's state that moved DNS. It is written before the change, and is all that the way home needs.
 */

const value = z.object({ ttl: z.int().min(0).max(2_147_483_647), values: z.array(z.ipv4()).min(1).max(400) });
const recordsSchema: z.ZodType<StoredRecord[]> = z.array(
  z.object({
    name: z.string().min(1).max(255),
    type: z.literal('A'),
    previous: value.optional(),
    ours: value,
  }),
);

type Generation = Pick<RunContext, 'plan' | 'generation'>;

const directory = (plan: string) => `dns/${plan}/`;
const dnsKey = ({ plan, generation }: Generation) => `${directory(plan)}${generation}.json`;

/** What a generation stored, and the object's ETag; undefined where it stored nothing. @throws DamagedObjectError */
export async function readStoredDns(
  store: ObjectStore,
  generation: Generation,
): Promise<{ records: StoredRecord[]; etag: string } | undefined> {
  const key = dnsKey(generation);
  const object = await store.get(key);
  if (object === undefined) return undefined;
  return { records: parseJsonObject(key, object.body, recordsSchema), etag: object.etag };
}

/**
 * Stores a generation's records: as a new object, or over what the same generation stored before (`replaced`).
 * @throws ConflictError where somebody else stored records for the generation meanwhile
 */
export async function storeDns(
  store: ObjectStore,
  generation: Generation,
  records: StoredRecord[],
  replaced?: { records: StoredRecord[]; etag: string },
): Promise<void> {
  const body = Buffer.from(JSON.stringify(records));
  if (replaced === undefined) await store.putNew(dnsKey(generation), body);
  else if (!isDeepStrictEqual(replaced.records, records))
    await store.putIfUnchanged(dnsKey(generation), body, replaced.etag);
}

/**
 * The records that were stored by the generations up to and including this one, newest first.
 * Generations after it belong to runs that fenced this one off.
 */
export async function readDnsHistory(store: ObjectStore, upTo: Generation): Promise<StoredRecord[][]> {
  const generations: number[] = [];
  for await (const { key } of store.list(directory(upTo.plan))) {
    const generation = Number(/\/(\d{1,15})\.json$/.exec(key)?.[1] ?? NaN);
    if (generation <= upTo.generation) generations.push(generation);
  }
  const history: StoredRecord[][] = [];
  for (const generation of generations.sort((a, b) => b - a)) {
    const stored = await readStoredDns(store, { plan: upTo.plan, generation });
    if (stored !== undefined) history.push(stored.records);
  }
  return history;
}
