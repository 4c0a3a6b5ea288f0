import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import * as S3 from '@aws-sdk/client-s3';
import { GetCallerIdentityCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { SHOP_BUCKET as Bucket } from '../../sandbox/aws/fixtures';
import { AwsHarness, failure } from './aws-harness';

const aws = new AwsHarness();
let s3: S3.S3Client;
beforeAll(async () => {
  await aws.start();
  s3 = aws.s3();
});
afterAll(async () => {
  s3.destroy();
  await aws.stop();
});

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const put = (
  Key: string,
  Body: S3.PutObjectCommandInput['Body'],
  more: Partial<S3.PutObjectCommandInput> = {},
) => s3.send(new S3.PutObjectCommand({ Bucket, Key, Body, ...more }));
const get = async (Key: string, more: Partial<S3.GetObjectCommandInput> = {}) => {
  const answer = await s3.send(new S3.GetObjectCommand({ Bucket, Key, ...more }));
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) };
};

/** Keys that would do harm or be lost as paths or in XML. */
const HOSTILE_KEYS = [
  "d/é +&'<>//..%2F?#.txt",
  '../../../etc/passwd',
  '/',
  'a/../b',
  'line\nbreak\rtab\t',
  '.',
  '__proto__',
  ' ',
];

describe('objects', () => {
  it('keep bytes, headers and metadata under any key, over a restart', async () => {
    for (const key of HOSTILE_KEYS)
      await put(key, `bytes of ${key}`, { ContentType: 'text/x', Metadata: { a: 'b' } });
    await aws.restart();
    for (const key of HOSTILE_KEYS) {
      const found = await get(key);
      expect(found.bytes.toString()).toBe(`bytes of ${key}`);
      expect(found).toMatchObject({ ContentType: 'text/x', Metadata: { a: 'b' } });
      expect(found.ETag).toBe(`"${createHash('md5').update(`bytes of ${key}`).digest('hex')}"`);
    }
    const { Contents = [] } = await s3.send(new S3.ListObjectsV2Command({ Bucket }));
    expect(Contents.map((object) => object.Key).sort()).toEqual([...HOSTILE_KEYS].sort());
    await s3.send(
      new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects: HOSTILE_KEYS.map((Key) => ({ Key })) } }),
    );
    expect((await s3.send(new S3.ListObjectsV2Command({ Bucket }))).KeyCount).toBe(0);
  });

  it('take streams and give ranges', async () => {
    const big = randomBytes(3 << 20);
    await put('big', Readable.from([big.subarray(0, 70_000), big.subarray(70_000)]), {
      ContentLength: big.length,
    });
    expect(digest((await get('big')).bytes)).toBe(digest(big));
    const part = await get('big', { Range: 'bytes=1000000-1000099' });
    expect(part.bytes.equals(big.subarray(1_000_000, 1_000_100))).toBe(true);
    expect(part.ContentRange).toBe(`bytes 1000000-1000099/${big.length}`);
    expect(part.$metadata.httpStatusCode).toBe(206);
    expect((await get('big', { Range: 'bytes=-5' })).bytes.equals(big.subarray(-5))).toBe(true);
    expect(await failure(get('big', { Range: `bytes=${big.length}-` }))).toMatchObject({
      name: 'InvalidRange',
      status: 416,
    });
    const head = await s3.send(new S3.HeadObjectCommand({ Bucket, Key: 'big' }));
    expect(head.ContentLength).toBe(big.length);
    expect(await failure(s3.send(new S3.HeadObjectCommand({ Bucket, Key: 'none' })))).toMatchObject({
      name: 'NotFound',
      status: 404,
    });
    expect((await failure(get('none'))).name).toBe('NoSuchKey');
    expect(await failure(put('bad', 'x', { ChecksumCRC32: 'AAAAAA==' }))).toMatchObject({
      name: 'BadDigest',
      status: 400,
    });
    expect((await failure(get('bad'))).name).toBe('NoSuchKey');
  });

  it('are written under conditions, of which only one of two writers at once meets its own', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => put('state', `writer ${n}`, { IfNoneMatch: '*' })),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const { ETag = '' } = await get('state');
    const updates = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => put('state', `update ${n}`, { IfMatch: ETag })),
    );
    expect(updates.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await failure(put('state', 'late', { IfMatch: ETag }))).toMatchObject({
      name: 'PreconditionFailed',
      status: 412,
    });
    expect((await failure(put('nothing', 'x', { IfMatch: ETag }))).status).toBe(404);
  });

  it('are listed in pages, with prefixes and delimiters', async () => {
    for (const key of ['p/1', 'p/2/a', 'p/2/b', 'p/3', 'p/4/x', 'p/5']) await put(key, 'x');
    const seen: string[] = [];
    for await (const page of S3.paginateListObjectsV2(
      { client: s3, pageSize: 2 },
      { Bucket, Prefix: 'p/', Delimiter: '/' },
    ))
      seen.push(
        ...(page.Contents ?? []).map((o) => o.Key ?? ''),
        ...(page.CommonPrefixes ?? []).map((p) => p.Prefix ?? ''),
      );
    expect(seen.sort()).toEqual(['p/1', 'p/2/', 'p/3', 'p/4/', 'p/5']);
    const after = await s3.send(new S3.ListObjectsV2Command({ Bucket, Prefix: 'p/', StartAfter: 'p/2/b' }));
    expect(after.Contents?.map((object) => object.Key)).toEqual(['p/3', 'p/4/x', 'p/5']);
  });

  it('are uploaded in parts', async () => {
    const parts = [randomBytes(5 << 20), randomBytes(1000)];
    const { UploadId } = await s3.send(
      new S3.CreateMultipartUploadCommand({ Bucket, Key: 'parts', ContentType: 'x/y' }),
    );
    const done = [];
    for (const [index, Body] of parts.entries()) {
      const { ETag } = await s3.send(
        new S3.UploadPartCommand({ Bucket, Key: 'parts', UploadId, PartNumber: index + 1, Body }),
      );
      done.push({ ETag, PartNumber: index + 1 });
    }
    await aws.restart();
    await s3.send(
      new S3.CompleteMultipartUploadCommand({
        Bucket,
        Key: 'parts',
        UploadId,
        MultipartUpload: { Parts: done },
      }),
    );
    const whole = await get('parts');
    expect(digest(whole.bytes)).toBe(digest(Buffer.concat(parts)));
    expect(whole.ETag).toMatch(/-2"$/);
    const aborted = await s3.send(new S3.CreateMultipartUploadCommand({ Bucket, Key: 'never' }));
    await s3.send(new S3.AbortMultipartUploadCommand({ Bucket, Key: 'never', UploadId: aborted.UploadId }));
    expect(
      (await failure(s3.send(new S3.ListPartsCommand({ Bucket, Key: 'never', UploadId: aborted.UploadId }))))
        .name,
    ).toBe('NoSuchUpload');
  });
});

describe('buckets and identity', () => {
  it('are created, listed and refused', async () => {
    await s3.send(
      new S3.CreateBucketCommand({
        Bucket: 'another.bucket',
        CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
      }),
    );
    expect((await s3.send(new S3.ListBucketsCommand({}))).Buckets?.map((bucket) => bucket.Name)).toEqual([
      'another.bucket',
      Bucket,
    ]);
    expect((await failure(s3.send(new S3.CreateBucketCommand({ Bucket })))).name).toMatch(
      /BucketAlreadyOwnedByYou|IllegalLocationConstraintException/,
    );
    expect((await failure(s3.send(new S3.HeadBucketCommand({ Bucket: 'no-such' })))).status).toBe(404);
    expect((await failure(s3.send(new S3.ListObjectsV2Command({ Bucket: 'no-such' })))).name).toBe(
      'NoSuchBucket',
    );
    expect(await failure(s3.send(new S3.GetBucketAclCommand({ Bucket })))).toMatchObject({
      name: 'NotImplemented',
      status: 501,
    });
    const stranger = new S3.S3Client({ ...aws.clientSettings('AKIASOMEBODY'), forcePathStyle: true });
    expect(await failure(stranger.send(new S3.ListBucketsCommand({})))).toMatchObject({
      name: 'InvalidAccessKeyId',
      status: 403,
    });
    stranger.destroy();
  });

  it('STS tells the account', async () => {
    const sts = aws.sts();
    expect((await sts.send(new GetCallerIdentityCommand({}))).Account).toBe('000000000000');
    expect((await failure(sts.send(new GetSessionTokenCommand({})))).name).toBe('InvalidAction');
    sts.destroy();
  });
});
