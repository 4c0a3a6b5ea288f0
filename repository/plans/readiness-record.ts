import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type FindingCode, type KeptCheck, type LastTest } from '../../plan/readiness';
import { checkVmName } from '../objects/keys';
import { DamagedObjectError, parseJsonObject } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import { retryConflicts } from '../objects/retry-conflicts';

/**
 * What is known of a plan's readiness: `checks/<plan>.json`, its last check and its last good test. Written with conditional PUTs,
 * as a check and a test may end at one time; and what is newer stays, as a call may come late.
 */

export interface ReadinessRecord {
  plan: string;
  check?: KeptCheck;
  lastTest?: LastTest;
}

const digest = z.string().regex(/^[0-9a-f]{64}$/);
/** Far more than anybody reads; a record is read whenever somebody asks for the status. */
const text = z.string().max(10_000);
const proxy = z.object({ worker: text, version: text, availabilityZone: text.optional() });
const standing = z.array(
  z.object({
    state: z.enum(['rpo-missed', 'not-ready', 'test-overdue']),
    vm: text.optional(),
    since: z.iso.datetime(),
  }),
);
const guest = z.object({
  guestOs: text,
  firmware: text,
  disks: z.array(text),
  family: text.optional(),
  kernels: z.array(text).optional(),
});
const recordSchema: z.ZodType<ReadinessRecord> = z.object({
  plan: z.string(),
  check: z
    .object({
      digest,
      runId: text.min(1),
      checkedAt: z.iso.datetime(),
      verdict: z.enum(['ready', 'ready with warnings', 'not ready']),
      findings: z.array(
        z.object({
          // Of another release there may be codes that this one does not know.
          code: text.transform((code) => code as FindingCode),
          severity: z.enum(['impossible', 'warning']),
          vm: text.optional(),
          text,
          todo: text,
          about: text.optional(),
          since: z.iso.datetime(),
        }),
      ),
      recoveryPoints: z.record(text, text),
      proxies: z.object({
        aws: proxy.optional(),
        backup: proxy.optional(),
        all: z
          .array(
            proxy.extend({
              role: z.enum(['aws-proxy', 'backup-proxy']),
              answered: z.enum(['yes', 'no', 'not asked']),
            }),
          )
          .optional(),
      }),
      standing: standing.optional(),
      changes: z.object({ begun: standing, over: standing }).optional(),
      test: z.object({ tested: z.enum(['yes', 'no', 'never']), changed: z.array(text) }).optional(),
    })
    .optional(),
  lastTest: z
    .object({
      digest,
      runId: text.min(1),
      testedAt: z.iso.datetime(),
      rtoSeconds: z.number().nonnegative(),
      guests: z.record(text, guest).optional(),
      awsProxy: text.optional(),
    })
    .optional(),
});

/** A plan's name has the form of a VM's (plan/schema.ts). */
const recordKey = (plan: string) => `checks/${checkVmName(plan)}.json`;

/** @returns undefined where the plan was neither checked nor tested. @throws DamagedObjectError */
export async function readReadiness(store: ObjectStore, plan: string): Promise<ReadinessRecord | undefined> {
  const object = await store.get(recordKey(plan));
  return object === undefined ? undefined : recordIn(object.body, plan);
}

/**
 * Changes the record. One that is damaged is made anew: it says nothing that the next check and test do not say again.
 * @param change gives what is to be there; where it gives what is there already, nothing is written. It may be asked again.
 * @throws ConflictError where others keep changing it meanwhile
 */
export async function changeReadiness(
  store: ObjectStore,
  plan: string,
  change: (record: ReadinessRecord) => ReadinessRecord,
): Promise<void> {
  await retryConflicts(async () => {
    const held = await readAnyway(store, plan);
    const before = held?.record ?? { plan };
    const after = change(before);
    if (isDeepStrictEqual(before, after)) return;
    const body = Buffer.from(JSON.stringify(after));
    if (held === undefined) await store.putNew(recordKey(plan), body);
    else await store.putIfUnchanged(recordKey(plan), body, held.etag);
  });
}

interface Held {
  record: ReadinessRecord;
  etag: string;
}

async function readAnyway(store: ObjectStore, plan: string): Promise<Held | undefined> {
  const object = await store.get(recordKey(plan));
  if (object === undefined) return undefined;
  try {
    return { record: recordIn(object.body, plan), etag: object.etag };
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    return { record: { plan }, etag: object.etag };
  }
}

/** @throws DamagedObjectError */
function recordIn(body: Buffer, plan: string): ReadinessRecord {
  const key = recordKey(plan);
  const record = parseJsonObject(key, body, recordSchema);
  if (record.plan !== plan) throw new DamagedObjectError(key, `it is of the plan "${record.plan}".`);
  return record;
}
