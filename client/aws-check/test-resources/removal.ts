import { setTimeout as pause } from 'node:timers/promises';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { type ObjectStore, s3ObjectStore } from '../../../repository/objects/object-store';
import { pauseSeconds } from '../questions';
import { CHECK_ID, checkPrefix, type CheckedSite } from '../site';
import { removeRecord } from './records';
import { removeFromEc2 } from './removal-ec2';
import { type Failure, trying } from './trying';
import { type Made, type Trial } from './trial';

/** What is gone, and what could not be removed. */
export interface Removal {
  /** Ids, keys and names. */
  removed: string[];
  left: { id: string; why: string }[];
}

export interface RemovalOptions {
  /** What this run knows of: it may not be listed yet. */
  made?: ReadonlyMap<string, Made>;
  hostedZone?: string;
  pollSeconds?: number;
  limitSeconds?: number;
}

/** A volume that is being made is deleted when it is there; a snapshot of an image, when EC2 knows that the image is gone. */
const LIMIT_SECONDS = 300;

/**
 * Removes all that any check has made and left: images, volumes and snapshots by their tag, objects by their prefix, the record in the
 * zone that is named, and in those that a run before has noted in the bucket. It goes by no memory, so a check that was killed
 * anywhere is removed by the next one.
 */
export async function removeTestResources(
  { clients, repository }: CheckedSite,
  { made = new Map(), hostedZone, pollSeconds, limitSeconds = LIMIT_SECONDS }: RemovalOptions = {},
): Promise<Removal> {
  const removed = new Set<string>();
  const store = repository && checkStore(clients, repository);
  const begun = Date.now();
  for (let looks = 0; ; looks++) {
    const failures = [
      ...(await removeFromEc2(clients.ec2, made, removed)),
      ...(await removeRecords(clients, store, hostedZone, removed)),
      ...(store === undefined ? [] : await removeObjects(store, removed)),
    ];
    const canHeal = failures.some(({ final }) => !final);
    if (failures.length === 0 || !canHeal || (Date.now() - begun) / 1000 >= limitSeconds)
      return { removed: [...removed].sort(), left: failures.map(({ id, why }) => ({ id, why })) };
    await pause(pauseSeconds(looks, pollSeconds) * 1000);
  }
}

/** The check's own objects. */
interface CheckStore {
  objects: ObjectStore;
  /** What their keys begin with in the bucket. */
  prefix: string;
}

function checkStore(
  { s3 }: CheckedSite['clients'],
  repository: NonNullable<CheckedSite['repository']>,
): CheckStore {
  const prefix = checkPrefix(repository.prefix);
  return { objects: s3ObjectStore(s3, { ...repository, prefix }), prefix };
}

/** Below the check's prefix. */
const ZONES = 'zones/';

/** Notes where a record is about to be made, so that a later check finds it without being told. @returns whether it is noted */
export async function noteZone(
  { questions, clients }: Trial,
  { bucket: Bucket, prefix }: NonNullable<CheckedSite['repository']>,
  zone: string,
): Promise<boolean> {
  await questions.find(
    { id: 's3.note-zone', about: 'the hosted zone is noted in the bucket', action: 's3:PutObject' },
    async () => {
      const Key = `${checkPrefix(prefix)}${ZONES}${zone}`;
      await clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(zone) }));
      return { wrong: [] };
    },
  );
  return questions.lines.at(-1)?.verdict === 'ok';
}

async function removeRecords(
  clients: CheckedSite['clients'],
  store: CheckStore | undefined,
  hostedZone: string | undefined,
  removed: Set<string>,
): Promise<Failure[]> {
  const noted = new Set<string>();
  const failures =
    store === undefined
      ? []
      : await trying('notes of hosted zones', async () => {
          for await (const { key } of store.objects.list(ZONES)) {
            const zone = key.slice(ZONES.length);
            // Whoever may write to the bucket chooses the zone; the record is the check's own in any of them.
            if (/^[A-Z0-9]{1,32}$/.test(zone)) noted.add(zone);
          }
        });
  for (const zone of new Set([...(hostedZone === undefined ? [] : [hostedZone]), ...noted]))
    failures.push(
      ...(await trying(`the record in ${zone}`, async () => {
        const name = await removeRecord(clients.route53, zone);
        if (name !== undefined) removed.add(name);
        if (noted.has(zone)) await store?.objects.delete(`${ZONES}${zone}`);
      })),
    );
  return failures;
}

function removeObjects({ objects, prefix }: CheckStore, removed: Set<string>): Promise<Failure[]> {
  return trying(`objects in ${prefix}`, async () => {
    for await (const { key } of objects.list('')) {
      // A VM may be called as the prefix is; its objects are not in folders called as runs are.
      if (!CHECK_ID.test(key.split('/')[0] ?? '')) continue;
      await objects.delete(key);
      removed.add(`${prefix}${key}`);
    }
  });
}
