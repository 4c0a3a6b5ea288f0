import { hash } from 'node:crypto';
import { type MapPageRef } from './block-map-format';
import { mapPagesKey } from '../objects/keys';
import { MapDirectory, MapDirectoryBuilder, type StoredByBackup } from './map-directory';
import { type MapPageBuilder } from './map-page-builder';
import { storeNumbered } from '../objects/numbered-object';
import { type ObjectStore } from '../objects/object-store';

/**
 * Pages are stored together until they take this much: one object for thousands of pages of a nearly empty disk, and
 * never more than a full page or two in the memory of each of many disks.
 */
const PAGE_OBJECT_BYTES = 512 * 2 ** 10;

/** What a block map is the map of. */
export interface MapOfBackup {
  store: ObjectStore;
  vm: string;
  backupId: string;
  diskKey: string;
  sizeBytes: number;
  /** Ends waiting for a store that does not take what it is given. */
  signal: AbortSignal;
}

/** A page that is not in the store yet. */
export interface PendingPage {
  n: number;
  entries: number;
  bytes: Buffer;
}

/** All that a writer needs to go on in another process. */
export interface WriterState {
  /** The pages that are stored, as a directory. */
  directory: Buffer;
  pending: PendingPage[];
  nextObject: number;
}

/** Writes a block map page by page: pages go to the store, only references to them stay. */
export class BlockMapWriter {
  private readonly directory: MapDirectoryBuilder;
  private pending: PendingPage[] = [];
  private nextObject = 0;

  /**
   * @param state where another process has come to
   * @throws BlockMapError where no disk can have the size
   */
  constructor(
    private readonly map: MapOfBackup,
    state?: WriterState,
  ) {
    this.directory = new MapDirectoryBuilder(map.sizeBytes);
    if (state === undefined) return;
    const stored = MapDirectory.parse(state.directory, map.vm);
    for (let position = 0; position < stored.length; position++)
      this.directory.add(stored.numberAt(position), stored.at(position));
    this.pending = state.pending;
    this.nextObject = state.nextObject;
  }

  get state(): WriterState {
    const directory = this.directory.finish({ storedBlocks: 0, storedBytes: 0 });
    return { directory, pending: this.pending, nextObject: this.nextObject };
  }

  /** Adds a page with the builder's entries; where it has none, the page is all zeros. */
  async add(page: MapPageBuilder): Promise<void> {
    if (page.length === 0) return;
    const bytes = page.finish();
    const pendingBytes = this.pending.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (pendingBytes + bytes.length > PAGE_OBJECT_BYTES) await this.flush();
    this.pending.push({ n: page.n, entries: page.length, bytes });
  }

  /** Takes a page over from an earlier backup as it is. */
  keep(n: number, ref: MapPageRef): void {
    this.directory.add(n, ref);
  }

  private async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    const { store, vm, backupId, diskKey, signal } = this.map;
    const keyOf = (n: number) => mapPagesKey(vm, backupId, diskKey, n);
    const object = Buffer.concat(this.pending.map(({ bytes }) => bytes));
    const next = () => this.nextObject++;
    const { key } = await storeNumbered(store, keyOf, next(), next, object, signal);
    let offset = 0;
    for (const { n, entries, bytes } of this.pending) {
      const sha256 = hash('sha256', bytes, 'buffer');
      this.directory.add(n, { key, offset, length: bytes.length, sha256, entries });
      offset += bytes.length;
    }
    this.pending = [];
  }

  /** Stores what is not stored yet. @returns the directory's bytes, which make the pages a map */
  async finish(stored: StoredByBackup): Promise<Buffer> {
    await this.flush();
    return this.directory.finish(stored);
  }
}
