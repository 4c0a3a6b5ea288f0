import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Collection } from '../state/collection';
import { giveBlockMemory, takeBlockMemory } from '../storage/block-memory';
import { AwsError } from '../wire/errors';

/** An object's record: everything but its bytes. */
export interface ObjectRecord {
  /** SHA-256 of the key: keys are anything and never become paths. */
  id: string;
  key: string;
  bytes: number;
  /** Quoted, as it stands in headers. */
  etag: string;
  /** ISO 8601. */
  modifiedAt: string;
  /** File with the bytes. */
  dataFile: string;
  headers: ObjectHeaders;
  metadata: Record<string, string>;
  /** Whole-object checksums by header name. */
  checksums: Record<string, string>;
}

/** Headers that are stored with an object and given back with it. */
export interface ObjectHeaders {
  ContentType?: string;
  ContentEncoding?: string;
  ContentDisposition?: string;
  ContentLanguage?: string;
  CacheControl?: string;
}

export interface UploadRecord {
  id: string;
  key: string;
  createdAt: string;
  headers: ObjectHeaders;
  metadata: Record<string, string>;
  parts: Record<number, { bytes: number; md5: string; dataFile: string; modifiedAt: string }>;
}

interface BucketRecord {
  id: string;
  name: string;
  createdAt: string;
}

/**
 * What ETags are: the MD5 of the object, or, as of buckets with SSE-KMS, of no meaning (Amazon S3 API Reference, "Object").
 * MD5 takes more CPU than everything else that is done to store an object.
 */
export type Etags = 'md5' | 'opaque';

export const objectId = (key: string): string => createHash('sha256').update(key).digest('hex');

/** One bucket on disk. */
export class Bucket {
  readonly objects: Collection<ObjectRecord>;
  readonly uploads: Collection<UploadRecord>;
  private readonly dataDirectory: string;
  private sortedKeys: string[] | undefined;

  constructor(
    readonly name: string,
    readonly createdAt: string,
    directory: string,
    private readonly etags: Etags,
  ) {
    this.objects = new Collection(join(directory, 'objects'));
    this.uploads = new Collection(join(directory, 'uploads'));
    this.dataDirectory = join(directory, 'data');
    mkdirSync(this.dataDirectory, { recursive: true });
    this.removeStrayData();
  }

  dataPath(dataFile: string): string {
    return join(this.dataDirectory, dataFile);
  }

  find(key: string): ObjectRecord | undefined {
    return this.objects.get(objectId(key));
  }

  /**
   * Writes a payload to a new data file, under a name that nothing refers to yet.
   * @returns as `md5`, the payload's; or as many random digits, where ETags mean nothing
   */
  async receive(payload: AsyncIterable<Buffer>): Promise<{ dataFile: string; bytes: number; md5: string }> {
    const dataFile = randomUUID();
    const md5 = this.etags === 'md5' ? createHash('md5') : undefined;
    let bytes = 0;
    const file = await open(this.dataPath(dataFile), 'w');
    const memory = takeBlockMemory();
    let filled = 0;
    // Pieces come as the network cuts them; a write for each would cost more than the copy.
    const flush = async (): Promise<void> => {
      md5?.update(memory.subarray(0, filled));
      for (let written = 0; written < filled;)
        written += (await file.write(memory, written, filled - written)).bytesWritten;
      bytes += filled;
      filled = 0;
    };
    try {
      for await (const chunk of payload)
        for (let taken = 0; taken < chunk.length;) {
          const length = chunk.copy(memory, filled, taken);
          taken += length;
          filled += length;
          if (filled === memory.length) await flush();
        }
      await flush();
    } catch (error) {
      rmSync(this.dataPath(dataFile), { force: true });
      throw error;
    } finally {
      giveBlockMemory(memory);
      await file.close();
    }
    return { dataFile, bytes, md5: md5?.digest('hex') ?? randomBytes(16).toString('hex') };
  }

  /** Puts an object in the place of any that was there. */
  commit(record: ObjectRecord): void {
    const before = this.objects.get(record.id);
    this.objects.put(record);
    if (before === undefined) this.sortedKeys = undefined;
    else if (before.dataFile !== record.dataFile) this.discard(before.dataFile);
  }

  remove(key: string): void {
    const before = this.find(key);
    if (before === undefined) return;
    this.objects.delete(before.id);
    this.sortedKeys = undefined;
    this.discard(before.dataFile);
  }

  discard(dataFile: string): void {
    rmSync(this.dataPath(dataFile), { force: true });
  }

  /** All keys in the order of S3: by their UTF-8 bytes. */
  keys(): readonly string[] {
    this.sortedKeys ??= this.objects
      .all()
      .map(({ key }) => key)
      .sort(compareKeys);
    return this.sortedKeys;
  }

  /** Data files that a killed process left without an object. */
  private removeStrayData(): void {
    const known = new Set(this.objects.all().map(({ dataFile }) => dataFile));
    for (const { parts } of this.uploads.all())
      for (const { dataFile } of Object.values(parts)) known.add(dataFile);
    for (const name of readdirSync(this.dataDirectory)) if (!known.has(name)) this.discard(name);
  }
}

export const compareKeys = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** All buckets of the account. */
export class BucketStore {
  private readonly records: Collection<BucketRecord>;
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly directory: string,
    private readonly etags: Etags = 'md5',
  ) {
    this.records = new Collection(join(directory, 'buckets'));
    for (const record of this.records.all()) this.open(record);
  }

  all(): Bucket[] {
    return [...this.buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws AwsError NoSuchBucket */
  get(name: string | undefined): Bucket {
    const bucket = this.buckets.get(name ?? '');
    if (bucket === undefined)
      throw new AwsError('NoSuchBucket', 'The specified bucket does not exist', 404, { BucketName: name });
    return bucket;
  }

  has(name: string): boolean {
    return this.buckets.has(name);
  }

  /** @throws AwsError InvalidBucketName, BucketAlreadyOwnedByYou */
  create(name: string): void {
    if (!/^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) || name.includes('..'))
      throw new AwsError('InvalidBucketName', 'The specified bucket is not valid.', 400, {
        BucketName: name,
      });
    if (this.buckets.has(name))
      throw new AwsError(
        'BucketAlreadyOwnedByYou',
        'Your previous request to create the named bucket succeeded and you already own it.',
        409,
      );
    this.open(this.records.put({ id: directoryName(name), name, createdAt: new Date().toISOString() }));
  }

  /** @throws AwsError BucketNotEmpty */
  delete(name: string): void {
    const bucket = this.get(name);
    if (bucket.keys().length > 0)
      throw new AwsError('BucketNotEmpty', 'The bucket you tried to delete is not empty', 409, {
        BucketName: name,
      });
    this.records.delete(directoryName(name));
    this.buckets.delete(name);
    const path = join(this.directory, directoryName(name));
    // Renamed first, so that a bucket of that name can be created at once.
    renameSync(path, `${path}.deleted`);
    rmSync(`${path}.deleted`, { recursive: true, force: true });
  }

  private open(record: BucketRecord): void {
    this.buckets.set(
      record.name,
      new Bucket(record.name, record.createdAt, join(this.directory, record.id), this.etags),
    );
  }
}

/** Bucket names have dots, which ids of stored resources do not; the hash keeps two names apart. */
const directoryName = (name: string): string =>
  `${name.replaceAll('.', '_')}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
