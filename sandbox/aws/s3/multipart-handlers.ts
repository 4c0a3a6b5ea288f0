import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  type AbortMultipartUploadRequest,
  type CompleteMultipartUploadOutput,
  type CompleteMultipartUploadRequest,
  type CreateMultipartUploadOutput,
  type CreateMultipartUploadRequest,
  type ListMultipartUploadsOutput,
  type ListMultipartUploadsRequest,
  type ListPartsOutput,
  type ListPartsRequest,
  type UploadPartOutput,
  type UploadPartRequest,
} from '@aws-sdk/client-s3';
import { type IncomingBody } from '../wire/body';
import { AwsError } from '../wire/errors';
import { PAYLOAD_CHECKSUMS } from '../wire/rest';
import { type Bucket, type BucketStore, compareKeys, objectId, type UploadRecord } from './buckets';
import { checkWriteConditions } from './conditions';
import { checkKey, storedHeaders, type WithChecksums } from './object-handlers';

/** Multipart upload limits (Amazon S3 User Guide): parts 1 to 10,000; all but the last at least 5 MiB. */
const MOST_PARTS = 10_000;
const SMALLEST_PART = 5 * 1024 * 1024;

export function multipartHandlers(store: BucketStore) {
  function find(bucket: Bucket, uploadId: string | undefined, key: string | undefined): UploadRecord {
    const upload = bucket.uploads.get(uploadId ?? '');
    if (upload === undefined || upload.key !== key)
      throw new AwsError(
        'NoSuchUpload',
        'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
        404,
        { UploadId: uploadId },
      );
    return upload;
  }

  return {
    CreateMultipartUpload(input: CreateMultipartUploadRequest): CreateMultipartUploadOutput {
      const bucket = store.get(input.Bucket);
      const key = checkKey(input.Key);
      const id = randomBytes(24).toString('hex');
      bucket.uploads.put({
        id,
        key,
        createdAt: new Date().toISOString(),
        headers: storedHeaders(input),
        metadata: input.Metadata ?? {},
        parts: {},
      });
      return { Bucket: bucket.name, Key: key, UploadId: id };
    },

    async UploadPart(
      input: Omit<UploadPartRequest, 'Body'> & { Body?: IncomingBody } & WithChecksums,
    ): Promise<UploadPartOutput> {
      const bucket = store.get(input.Bucket);
      const { id } = find(bucket, input.UploadId, input.Key);
      const number = input.PartNumber ?? 0;
      if (!Number.isInteger(number) || number < 1 || number > MOST_PARTS)
        throw new AwsError(
          'InvalidArgument',
          `Part number must be an integer between 1 and ${MOST_PARTS}, inclusive`,
        );
      if (input.Body === undefined)
        throw new AwsError('MissingContentLength', 'You must provide a body.', 411);
      const { dataFile, bytes, md5 } = await bucket.receive(input.Body);
      const upload = bucket.uploads.get(id);
      if (upload === undefined) {
        bucket.discard(dataFile);
        find(bucket, id, input.Key);
        throw new Error('the upload is both there and not');
      }
      const before = upload.parts[number];
      const part = { bytes, md5, dataFile, modifiedAt: new Date().toISOString() };
      bucket.uploads.put({ ...upload, parts: { ...upload.parts, [number]: part } });
      if (before !== undefined) bucket.discard(before.dataFile);
      const checksums = input[PAYLOAD_CHECKSUMS] ?? {};
      return {
        ETag: `"${md5}"`,
        ChecksumCRC32: checksums['x-amz-checksum-crc32'],
        ChecksumSHA256: checksums['x-amz-checksum-sha256'],
      };
    },

    async CompleteMultipartUpload(
      input: CompleteMultipartUploadRequest,
    ): Promise<CompleteMultipartUploadOutput> {
      const bucket = store.get(input.Bucket);
      const upload = find(bucket, input.UploadId, input.Key);
      const named = input.MultipartUpload?.Parts ?? [];
      if (named.length === 0) throw new AwsError('MalformedXML', 'The list of parts is empty.');
      const parts = named.map(({ PartNumber: number = 0, ETag: etag = '' }, index) => {
        const part = upload.parts[number];
        if (part === undefined || part.md5 !== etag.replaceAll('"', ''))
          throw new AwsError('InvalidPart', 'One or more of the specified parts could not be found.', 400, {
            PartNumber: number,
          });
        if (index > 0 && number <= (named[index - 1]?.PartNumber ?? 0))
          throw new AwsError('InvalidPartOrder', 'The list of parts was not in ascending order.');
        if (index < named.length - 1 && part.bytes < SMALLEST_PART)
          throw new AwsError(
            'EntityTooSmall',
            'Your proposed upload is smaller than the minimum allowed size',
            400,
            { PartNumber: number },
          );
        return part;
      });
      checkWriteConditions(input, bucket.find(upload.key));
      const { dataFile, bytes } = await bucket.receive(readParts(bucket, parts));
      try {
        checkWriteConditions(input, bucket.find(upload.key));
        find(bucket, upload.id, upload.key);
      } catch (error) {
        bucket.discard(dataFile);
        throw error;
      }
      // The ETag of a multipart object: the MD5 of its parts' MD5s, and how many they are.
      const digest = createHash('md5').update(Buffer.concat(parts.map(({ md5 }) => Buffer.from(md5, 'hex'))));
      const etag = `"${digest.digest('hex')}-${parts.length}"`;
      bucket.commit({
        id: objectId(upload.key),
        key: upload.key,
        bytes,
        etag,
        modifiedAt: new Date(Math.floor(Date.now() / 1000) * 1000).toISOString(),
        dataFile,
        headers: upload.headers,
        metadata: upload.metadata,
        checksums: {},
      });
      removeUpload(bucket, upload);
      return {
        Bucket: bucket.name,
        Key: upload.key,
        ETag: etag,
        Location: `/${bucket.name}/${encodeURIComponent(upload.key)}`,
      };
    },

    AbortMultipartUpload(input: AbortMultipartUploadRequest): void {
      const bucket = store.get(input.Bucket);
      removeUpload(bucket, find(bucket, input.UploadId, input.Key));
    },

    ListParts(input: ListPartsRequest): ListPartsOutput {
      const bucket = store.get(input.Bucket);
      const upload = find(bucket, input.UploadId, input.Key);
      const after = Number(input.PartNumberMarker ?? 0);
      const most = Math.min(input.MaxParts ?? 1000, 1000);
      const rest = Object.entries(upload.parts)
        .map(([number, part]) => ({ number: Number(number), ...part }))
        .filter(({ number }) => number > after)
        .sort((a, b) => a.number - b.number);
      const shown = rest.slice(0, most);
      return {
        Bucket: bucket.name,
        Key: upload.key,
        UploadId: upload.id,
        MaxParts: most,
        IsTruncated: shown.length < rest.length,
        NextPartNumberMarker: shown.length < rest.length ? String(shown.at(-1)?.number) : undefined,
        Parts: shown.map(({ number, bytes, md5, modifiedAt }) => ({
          PartNumber: number,
          Size: bytes,
          ETag: `"${md5}"`,
          LastModified: new Date(modifiedAt),
        })),
      };
    },

    ListMultipartUploads(input: ListMultipartUploadsRequest): ListMultipartUploadsOutput {
      const bucket = store.get(input.Bucket);
      const uploads = bucket.uploads
        .all()
        .filter(({ key }) => key.startsWith(input.Prefix ?? ''))
        .sort((a, b) => compareKeys(a.key, b.key));
      return {
        Bucket: bucket.name,
        IsTruncated: false,
        Uploads: uploads.map(({ id, key, createdAt }) => ({
          UploadId: id,
          Key: key,
          Initiated: new Date(createdAt),
        })),
      };
    },
  };
}

async function* readParts(bucket: Bucket, parts: { dataFile: string }[]): AsyncGenerator<Buffer> {
  for (const { dataFile } of parts)
    for await (const chunk of createReadStream(bucket.dataPath(dataFile))) yield chunk as Buffer;
}

/** The record goes first: data files without one are removed at the next start anyway. */
function removeUpload(bucket: Bucket, upload: UploadRecord): void {
  bucket.uploads.delete(upload.id);
  for (const { dataFile } of Object.values(upload.parts)) bucket.discard(dataFile);
}
