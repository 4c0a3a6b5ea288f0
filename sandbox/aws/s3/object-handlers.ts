import { type FileHandle, open } from 'node:fs/promises';
import {
  type CopyObjectRequest,
  type DeleteObjectRequest,
  type DeleteObjectsOutput,
  type DeleteObjectsRequest,
  type GetObjectOutput,
  type GetObjectRequest,
  type HeadObjectOutput,
  type HeadObjectRequest,
  type PutObjectOutput,
  type PutObjectRequest,
} from '@aws-sdk/client-s3';
import { giveBlockMemory, takeBlockMemory } from '../storage/block-memory';
import { type IncomingBody } from '../wire/body';
import { AwsError } from '../wire/errors';
import { HTTP_STATUS, PAYLOAD_CHECKSUMS } from '../wire/rest';
import { type Bucket, type BucketStore, objectId, type ObjectHeaders, type ObjectRecord } from './buckets';
import { checkReadConditions, checkWriteConditions } from './conditions';
import { readRange } from './range';

/** Longest key, in UTF-8 bytes. */
const LONGEST_KEY = 1024;

export type WithChecksums = { [PAYLOAD_CHECKSUMS]?: Record<string, string> };

export function storedHeaders(input: ObjectHeaders): ObjectHeaders {
  return {
    ContentType: input.ContentType,
    ContentEncoding: input.ContentEncoding,
    ContentDisposition: input.ContentDisposition,
    ContentLanguage: input.ContentLanguage,
    CacheControl: input.CacheControl,
  };
}

/** @throws AwsError KeyTooLongError */
export function checkKey(key: string | undefined): string {
  if (key === undefined || key === '') throw new AwsError('InvalidArgument', 'The key is empty.');
  if (Buffer.byteLength(key) > LONGEST_KEY) throw new AwsError('KeyTooLongError', 'Your key is too long');
  return key;
}

function checksumMembers(checksums: Record<string, string>) {
  return {
    ChecksumCRC32: checksums['x-amz-checksum-crc32'],
    ChecksumSHA1: checksums['x-amz-checksum-sha1'],
    ChecksumSHA256: checksums['x-amz-checksum-sha256'],
  };
}

export function objectHandlers(store: BucketStore) {
  function find(bucket: Bucket, key: string | undefined): ObjectRecord {
    const object = bucket.find(key ?? '');
    if (object === undefined)
      throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404, { Key: key });
    return object;
  }

  function describe(object: ObjectRecord, checksumMode: string | undefined) {
    return {
      ...object.headers,
      ETag: object.etag,
      LastModified: new Date(object.modifiedAt),
      Metadata: object.metadata,
      AcceptRanges: 'bytes',
      ...(checksumMode === 'ENABLED'
        ? { ...checksumMembers(object.checksums), ChecksumType: 'FULL_OBJECT' as const }
        : {}),
    };
  }

  return {
    async PutObject(
      input: Omit<PutObjectRequest, 'Body'> & { Body?: IncomingBody } & WithChecksums,
    ): Promise<PutObjectOutput> {
      const bucket = store.get(input.Bucket);
      const key = checkKey(input.Key);
      checkWriteConditions(input, bucket.find(key));
      const { dataFile, bytes, md5 } = await bucket.receive(input.Body ?? nothing());
      try {
        if (input.Body?.length !== undefined && input.Body.length !== bytes)
          throw new AwsError(
            'IncompleteBody',
            'You did not provide the number of bytes specified by the Content-Length HTTP header.',
          );
        // Asked again at the instant of the change: of two conditional writes at once, one gets 412.
        checkWriteConditions(input, bucket.find(key));
      } catch (error) {
        bucket.discard(dataFile);
        throw error;
      }
      const checksums = { ...input[PAYLOAD_CHECKSUMS] };
      const etag = `"${md5}"`;
      bucket.commit({
        id: objectId(key),
        key,
        bytes,
        etag,
        modifiedAt: wholeSeconds(),
        dataFile,
        headers: storedHeaders(input),
        metadata: input.Metadata ?? {},
        checksums,
      });
      return { ETag: etag, ...checksumMembers(checksums) };
    },

    async GetObject(input: GetObjectRequest): Promise<GetObjectOutput> {
      const bucket = store.get(input.Bucket);
      const { object, file } = await openObject(bucket, () => find(bucket, input.Key));
      try {
        checkReadConditions(input, object);
        const range = readRange(input.Range, object.bytes);
        const described = describe(object, range === undefined ? input.ChecksumMode : undefined);
        const start = range?.start ?? 0;
        const length = range === undefined ? object.bytes : range.end - range.start + 1;
        return {
          ...described,
          ...(range === undefined
            ? {}
            : { ContentRange: `bytes ${range.start}-${range.end}/${object.bytes}`, [HTTP_STATUS]: 206 }),
          ContentLength: length,
          Body: readPieces(file, start, length) as never, // the codec takes what iterates over bytes
        };
      } catch (error) {
        await file.close();
        throw error;
      }
    },

    HeadObject(input: HeadObjectRequest): HeadObjectOutput {
      const bucket = store.get(input.Bucket);
      const object = bucket.find(input.Key ?? '');
      if (object === undefined) throw new AwsError('NotFound', 'Not Found', 404);
      checkReadConditions(input, object);
      return { ...describe(object, input.ChecksumMode), ContentLength: object.bytes };
    },

    DeleteObject(input: DeleteObjectRequest): void {
      const bucket = store.get(input.Bucket);
      const object = bucket.find(input.Key ?? '');
      if (input.IfMatch !== undefined)
        checkWriteConditions({ IfMatch: input.IfMatch, Key: input.Key }, object);
      bucket.remove(input.Key ?? '');
    },

    DeleteObjects(input: DeleteObjectsRequest): DeleteObjectsOutput {
      const bucket = store.get(input.Bucket);
      const objects = input.Delete?.Objects ?? [];
      if (objects.length > 1000)
        throw new AwsError('MalformedXML', 'The XML you provided lists more than 1000 objects.');
      for (const { Key } of objects) bucket.remove(Key ?? '');
      return { Deleted: input.Delete?.Quiet ? [] : objects.map(({ Key }) => ({ Key })) };
    },

    CopyObject(_input: CopyObjectRequest): never {
      // The bindings of PutObject match as well; without this the copy would be an empty object.
      throw new AwsError('NotImplemented', 'CopyObject is not offered by this endpoint.', 501);
    },
  };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // An object without a body is an empty one.
}

/** S3 keeps times to the second. */
const wholeSeconds = (): string => new Date(Math.floor(Date.now() / 1000) * 1000).toISOString();

/** Opens an object's bytes; they stay readable when the object is replaced meanwhile. */
async function openObject(
  bucket: Bucket,
  find: () => ObjectRecord,
): Promise<{ object: ObjectRecord; file: FileHandle }> {
  for (;;) {
    const object = find();
    try {
      return { object, file: await open(bucket.dataPath(object.dataFile), 'r') };
    } catch (error) {
      // Replaced between looking and opening: look again.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || find().dataFile === object.dataFile)
        throw error;
    }
  }
}

/** Pieces in memory that is used for the next one again. */
async function* readPieces(file: FileHandle, start: number, length: number): AsyncGenerator<Uint8Array> {
  const memory = takeBlockMemory();
  try {
    let offset = start;
    const end = start + length;
    while (offset < end) {
      const { bytesRead } = await file.read(memory, 0, Math.min(memory.length, end - offset), offset);
      if (bytesRead === 0) throw new Error('an object file is shorter than its record says');
      offset += bytesRead;
      yield memory.subarray(0, bytesRead);
    }
  } finally {
    giveBlockMemory(memory);
    await file.close();
  }
}
