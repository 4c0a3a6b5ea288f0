import { createHash } from 'node:crypto';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { ConflictError, type ObjectStore } from '../../repository/objects/object-store';

/** An object store in memory that keeps S3's promises on conditional writes and counts what is asked of it. */
export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, Buffer>();
  /** When each was written, by {@link clock}. */
  readonly modified = new Map<string, Date>();
  clock: () => Date = () => new Date();
  readonly ranges: { key: string; offset: number; length: number }[] = [];
  /** Runs before an object is stored; throw to fail the write. */
  beforePut: (key: string) => void | Promise<void> = () => undefined;

  private store(key: string, body: Uint8Array) {
    this.objects.set(key, Buffer.from(body));
    this.modified.set(key, this.clock());
  }

  async get(key: string) {
    const body = this.objects.get(key);
    return body && { body: Buffer.from(body), etag: etagOf(body) };
  }

  async getRange(key: string, offset: number, length: number) {
    this.ranges.push({ key, offset, length });
    const bytes = this.objects.get(key)?.subarray(offset, offset + length);
    if (bytes?.length !== length) throw new DamagedObjectError(key, 'it is missing or too short.');
    return Buffer.from(bytes);
  }

  async readRange(key: string, offset: number, into: Buffer) {
    (await this.getRange(key, offset, into.length)).copy(into);
  }

  async put(key: string, body: Uint8Array) {
    await this.beforePut(key);
    this.store(key, body);
  }

  async putNew(key: string, body: Uint8Array) {
    await this.beforePut(key);
    if (this.objects.has(key)) throw new ConflictError(key);
    this.store(key, body);
    return { etag: etagOf(body) };
  }

  async putIfUnchanged(key: string, body: Uint8Array, etag: string) {
    await this.beforePut(key);
    const present = this.objects.get(key);
    if (present === undefined || etagOf(present) !== etag) throw new ConflictError(key);
    this.store(key, body);
    return { etag: etagOf(body) };
  }

  async *list(prefix: string) {
    for (const key of [...this.objects.keys()].sort())
      if (key.startsWith(prefix) && this.objects.has(key))
        yield { key, bytes: this.objects.get(key)!.length, modified: this.modified.get(key)! };
  }

  async delete(key: string) {
    this.objects.delete(key);
  }
}

function etagOf(body: Uint8Array): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}
