import { setTimeout as pause } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
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
  const begun = Date.now();
  for (let looks = 0; ; looks++) {
    const failures = [
      ...(await removeFromEc2(clients.ec2, made, removed)),
      ...(await removeRecords({ clients, repository }, hostedZone, removed)),
      ...(await removeObjects({ clients, repository }, removed)),
    ];
    const canHeal = failures.some(({ final }) => !final);
    if (failures.length === 0 || !canHeal || (Date.now() - begun) / 1000 >= limitSeconds)
      return { removed: [...removed].sort(), left: failures.map(({ id, why }) => ({ id, why })) };
    await pause(pauseSeconds(looks, pollSeconds) * 1000);
  }
}

const zoneKey = (prefix: string, zone: string): string => `${checkPrefix(prefix)}zones/${zone}`;

/** Notes where a record is about to be made, so that a later check finds it without being told. @returns whether it is noted */
export async function noteZone(
  { questions, clients }: Trial,
  { bucket: Bucket, prefix }: NonNullable<CheckedSite['repository']>,
  zone: string,
): Promise<boolean> {
  await questions.find(
    { id: 's3.note-zone', about: 'the hosted zone is noted in the bucket', action: 's3:PutObject' },
    async () => {
      const Key = zoneKey(prefix, zone);
      await clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(zone) }));
      return { wrong: [] };
    },
  );
  return questions.lines.at(-1)?.verdict === 'ok';
}

async function removeRecords(
  { clients, repository }: Pick<CheckedSite, 'clients' | 'repository'>,
  hostedZone: string | undefined,
  removed: Set<string>,
): Promise<Failure[]> {
  let noted: string[] = [];
  const failures =
    repository === undefined
      ? []
      : await trying('notes of hosted zones', async () => {
          const prefix = zoneKey(repository.prefix, '');
          const keys = await keysOf(clients.s3, repository.bucket, prefix);
          // Whoever may write to the bucket chooses the zone; the record is the check's own in any of them.
          noted = keys.map((key) => key.slice(prefix.length)).filter((zone) => /^[A-Z0-9]{1,32}$/.test(zone));
        });
  for (const zone of new Set([...(hostedZone === undefined ? [] : [hostedZone]), ...noted]))
    failures.push(
      ...(await trying(`the record in ${zone}`, async () => {
        const name = await removeRecord(clients.route53, zone);
        if (name !== undefined) removed.add(name);
        if (repository !== undefined && noted.includes(zone))
          await clients.s3.send(
            new DeleteObjectCommand({ Bucket: repository.bucket, Key: zoneKey(repository.prefix, zone) }),
          );
      })),
    );
  return failures;
}

async function removeObjects(
  { clients, repository }: Pick<CheckedSite, 'clients' | 'repository'>,
  removed: Set<string>,
): Promise<Failure[]> {
  if (repository === undefined) return [];
  const prefix = checkPrefix(repository.prefix);
  return trying(`objects in ${prefix}`, async () => {
    for (const Key of await keysOf(clients.s3, repository.bucket, prefix)) {
      // A VM may be called as the prefix is; its objects are not in folders called as runs are.
      if (!CHECK_ID.test(Key.slice(prefix.length).split('/')[0] ?? '')) continue;
      await clients.s3.send(new DeleteObjectCommand({ Bucket: repository.bucket, Key }));
      removed.add(Key);
    }
  });
}

async function keysOf(s3: S3Client, Bucket: string, Prefix: string): Promise<string[]> {
  const keys: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await s3.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }));
    keys.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return keys;
}
