import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { checkPrefix, type CheckedSite } from '../site';
import { type Trial } from './trial';

const TEXT = Buffer.from('lifeboat aws check');

/** What the state of plans, the evidence and the block maps go by: conditional writes, ranges, and what a missing object answers. @returns whether objects can be written */
export async function tryBucket(
  { questions, clients, id: run }: Trial,
  { bucket: Bucket, prefix }: NonNullable<CheckedSite['repository']>,
): Promise<boolean> {
  const { s3 } = clients;
  const Key = `${checkPrefix(prefix)}${run}/object`;
  const put = (more: { IfMatch?: string; IfNoneMatch?: string; Key?: string }) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body: TEXT, ...more }));
  const get = (Range?: string) => read(s3, { Bucket, Key, Range });
  const action = 's3:PutObject';
  const made = await questions.ask({
    id: 's3.put-new',
    about: 'an object is written only where there is none (If-None-Match)',
    action,
    call: () => put({ IfNoneMatch: '*' }),
  });
  if (made === undefined) return false;
  await questions.ask({
    id: 's3.put-new-again',
    about: 'a second one is refused',
    action,
    call: () => put({ IfNoneMatch: '*' }),
  });
  await questions.ask({
    id: 's3.put-matching',
    about: 'it is replaced while it has the ETag that is named (If-Match)',
    action,
    call: () => put({ IfMatch: made.ETag }),
  });
  await questions.ask({
    id: 's3.put-stale',
    about: 'it is not replaced by another ETag',
    action,
    call: () => put({ IfMatch: '"00000000000000000000000000000000"' }),
  });
  await questions.ask({
    id: 's3.put-matching-missing',
    about: 'nothing is written by an ETag where there is no object',
    action,
    call: () => put({ Key: `${Key}-missing`, IfMatch: made.ETag }),
  });
  await questions.ask({
    id: 's3.get-range',
    about: 'a range of it is read',
    action: 's3:GetObject',
    call: () => get('bytes=9-11'),
    facts: ({ text, ContentRange = null, ContentLength = null }) => ({ text, ContentRange, ContentLength }),
  });
  await questions.ask({
    id: 's3.get-beyond',
    about: 'a range beyond its end is refused',
    action: 's3:GetObject',
    call: () => get(`bytes=${TEXT.length}-`),
  });
  await questions.ask({
    id: 's3.delete',
    about: 'it is deleted',
    action: 's3:DeleteObject',
    call: () => s3.send(new DeleteObjectCommand({ Bucket, Key })),
  });
  await questions.ask({
    id: 's3.get-missing',
    about: 'an object that is not there is told from a missing permission',
    action: 's3:GetObject',
    call: () => get(),
  });
  await questions.ask({
    id: 's3.delete-again',
    about: 'deleting what is gone is no error',
    action: 's3:DeleteObject',
    call: () => s3.send(new DeleteObjectCommand({ Bucket, Key })),
  });
  return true;
}

async function read(s3: S3Client, input: { Bucket: string; Key: string; Range: string | undefined }) {
  const { Body, ...output } = await s3.send(new GetObjectCommand(input));
  return { ...output, text: (await Body?.transformToString()) ?? null };
}
