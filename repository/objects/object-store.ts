import { hash } from 'node:crypto';
import { type Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  NoSuchKey,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { type Backoff, withBackoff } from '../../blocks/backoff';
import { isTransientAwsError } from '../../blocks/transient';
import { getInto } from './get-into';
import { type RepositoryAddress } from '../../plan/run';
import { DamagedObjectError } from './json-object';
import { type LimitedSending, sendLimited } from './limited-sending';

/** Nothing that Lifeboat writes is larger than its largest pack; whoever puts more there may not fill our memory. */
const MAX_WHOLE_BYTES = 64 * 2 ** 20;

/**
 * Of reads and listings, some 3 s in all. To look for a restore's changed blocks, or for what no backup needs, takes
 * thousands of them, one after another, so that a refusal of one (S3 slows down whoever comes too fast) must not make
 * an activity begin again. Writes are left to the activity's retry: a conditional one whose answer was lost is another
 * call.
 */
const READ_BACKOFF: Backoff = { attempts: 7, baseMs: 100, capMs: 2000 };
const never = new AbortController().signal;
const patiently = <T>(read: () => Promise<T>): Promise<T> =>
  withBackoff(READ_BACKOFF, never, isTransientAwsError, read);

type BodyInput = Pick<PutObjectCommandInput, 'Bucket' | 'Key' | 'IfMatch' | 'IfNoneMatch'> & {
  Body: Uint8Array;
};

/** An object somebody else wrote between our reading and our writing. */
export class ConflictError extends Error {
  constructor(readonly key: string) {
    super(`The object "${key}" was changed by somebody else meanwhile.`);
    this.name = 'ConflictError';
  }
}

/** An object as a listing shows it. */
export interface ListedObject {
  key: string;
  bytes: number;
  /** When it was written, by the store's own clock. */
  modified: Date;
}

/** The few calls that a backup repository makes on S3. Keys are relative to the repository's prefix. */
export interface ObjectStore {
  /** @returns undefined where there is no such object. @throws DamagedObjectError where it is far too large */
  get(key: string): Promise<{ body: Buffer; etag: string } | undefined>;
  /** Bytes `offset` to `offset + length - 1`. @throws DamagedObjectError where the object is missing or shorter */
  getRange(key: string, offset: number, length: number): Promise<Buffer>;
  /** Fills `into` with the bytes from `offset` on. @throws DamagedObjectError where the object is missing or shorter */
  readRange(key: string, offset: number, into: Buffer, signal?: AbortSignal): Promise<void>;
  put(key: string, body: Uint8Array): Promise<void>;
  /** Creates the object only where there is none. @throws ConflictError */
  putNew(key: string, body: Uint8Array): Promise<{ etag: string }>;
  /** Replaces the object only while it has this ETag. @throws ConflictError */
  putIfUnchanged(key: string, body: Uint8Array, etag: string): Promise<{ etag: string }>;
  /** Keys that begin with `prefix`, in key order. */
  list(prefix: string): AsyncIterable<ListedObject>;
  delete(key: string): Promise<void>;
}

/**
 * The repository on S3. Conditional PUTs: Amazon S3 User Guide, "Conditional writes".
 * @param sending how fast what is stored may go; as fast as it can where absent
 */
export function s3ObjectStore(
  client: S3Client,
  address: Pick<RepositoryAddress, 'bucket' | 'prefix'>,
  sending?: LimitedSending,
): ObjectStore {
  const Bucket = address.bucket;
  const full = (key: string): string => address.prefix + key;

  function putObject(input: BodyInput): Promise<PutObjectCommandOutput> {
    if (sending === undefined) return client.send(putCommand(input, input.Body));
    return sendLimited(sending, input.Body, (body, options) => client.send(putCommand(input, body), options));
  }

  async function conditionalPut(
    key: string,
    body: Uint8Array,
    condition: { IfMatch?: string; IfNoneMatch?: string },
  ) {
    try {
      const { ETag } = await putObject({ Bucket, Key: full(key), Body: body, ...condition });
      return { etag: ETag ?? '' };
    } catch (error) {
      // 412: the condition does not hold; 409: another conditional write to the key was under way.
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      if (status === 412 || status === 409) throw new ConflictError(key);
      throw error;
    }
  }

  async function readRange(key: string, offset: number, into: Buffer, signal?: AbortSignal) {
    const end = offset + into.length;
    const command = new GetObjectCommand({
      Bucket,
      Key: full(key),
      Range: `bytes=${offset}-${end - 1}`,
    });
    try {
      if ((await getInto(client, command, into, signal)) !== into.length) throw tooShort(key, end);
    } catch (error) {
      if (error instanceof NoSuchKey) throw new DamagedObjectError(key, 'it is missing.');
      // 416: not even the first byte of the range is there.
      if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416)
        throw tooShort(key, end);
      throw error;
    }
  }

  return {
    get: (key) =>
      patiently(async () => {
        try {
          const { Body, ETag, ContentLength } = await client.send(
            new GetObjectCommand({ Bucket, Key: full(key) }),
          );
          if ((ContentLength ?? 0) > MAX_WHOLE_BYTES)
            throw new DamagedObjectError(
              key,
              `it has ${ContentLength} bytes, more than Lifeboat ever writes.`,
            );
          return { body: Buffer.from((await Body?.transformToByteArray()) ?? []), etag: ETag ?? '' };
        } catch (error) {
          if (error instanceof NoSuchKey) return undefined;
          throw error;
        }
      }),
    async getRange(key, offset, length) {
      const into = Buffer.allocUnsafe(length);
      await patiently(() => readRange(key, offset, into));
      return into;
    },
    readRange,
    async put(key, body) {
      await putObject({ Bucket, Key: full(key), Body: body });
    },
    putNew: (key, body) => conditionalPut(key, body, { IfNoneMatch: '*' }),
    putIfUnchanged: (key, body, etag) => conditionalPut(key, body, { IfMatch: etag }),
    async *list(prefix) {
      let ContinuationToken: string | undefined;
      do {
        const page: ListObjectsV2CommandOutput = await patiently(() =>
          client.send(new ListObjectsV2Command({ Bucket, Prefix: full(prefix), ContinuationToken })),
        );
        for (const object of page.Contents ?? [])
          yield {
            key: (object.Key ?? '').slice(address.prefix.length),
            bytes: object.Size ?? 0,
            // S3 always says; what had no time would count as new, which is the safe side of every use.
            modified: object.LastModified ?? new Date(),
          };
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
    },
    async delete(key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: full(key) }));
    },
  };
}

/**
 * A PutObject whose body is hashed once: its SHA-256 is what the signature covers and the checksum that S3 verifies and
 * keeps (Amazon S3 User Guide, "Checking object integrity"). By itself the SDK would compute a CRC32 for the one and a
 * SHA-256 for the other.
 * @param Body the bytes, or a stream of them
 */
function putCommand(input: BodyInput, Body: Uint8Array | Readable): PutObjectCommand {
  const sha256 = hash('sha256', input.Body, 'buffer');
  const command = new PutObjectCommand({
    ...input,
    Body,
    ContentLength: input.Body.byteLength,
    ChecksumSHA256: sha256.toString('base64'),
  });
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] =
        sha256.toString('hex');
      return next(args);
    },
    { step: 'build', name: 'lifeboatPayloadHash' },
  );
  return command;
}

function tooShort(key: string, expected: number): DamagedObjectError {
  return new DamagedObjectError(key, `it has fewer than ${expected} bytes.`);
}
