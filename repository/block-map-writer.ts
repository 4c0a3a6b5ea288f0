import { hash } from 'node:crypto';
import { type MapPageRef } from './block-map-format';
import { mapPagesKey } from './keys';
import { MapDirectoryBuilder, type StoredByBackup } from './map-directory';
import { type MapPageBuilder } from './map-page-builder';
import { storeNumbered } from './numbered-object';
import { type ObjectStore } from './object-store';

/**
 * Pages are stored together until they take this much: one object for thousands of pages of a nearly empty disk, and
 * never more than two full pages in the memory of each of many disks.
 */
const PAGE_OBJECT_TARGET_BYTES = 512 * 2 ** 10;

export interface MapOfBackup {
  store: ObjectStore;
  vm: string;
  backupId: string;
  diskKey: string;
  sizeBytes: number;
}

/** Writes a block map, page by page in disk order: pages go to the store, only references to them stay. */
export class BlockMapWriter {
  private readonly directory: MapDirectoryBuilder;
  /** Pages that are not stored yet, and references that follow one of them. */
  private pending: { n: number; page: Buffer; entries: number }[] = [];
  private pendingBytes = 0;
  private nextObject = 0;

  /** @throws BlockMapError where no disk can have the size */
  constructor(private readonly map: MapOfBackup) {
    this.directory = new MapDirectoryBuilder(map.sizeBytes);
  }

  /** Adds a page with the builder's entries; where it has none, the page is all zeros. */
  async add(page: MapPageBuilder): Promise<void> {
    if (page.length === 0) return;
    const bytes = page.finish();
    if (this.pendingBytes + bytes.length > PAGE_OBJECT_TARGET_BYTES) await this.flush();
    this.pending.push({ n: page.n, page: bytes, entries: page.length });
    this.pendingBytes += bytes.length;
  }

  /** Takes a page over from an earlier backup as it is. */
  async keep(n: number, ref: MapPageRef): Promise<void> {
    await this.flush();
    this.directory.add(n, ref);
  }

  private async flush(): Promise<void> {
    if (this.pending.length === 0) return;
    const { store, vm, backupId, diskKey } = this.map;
    const bytes = Buffer.concat(this.pending.map(({ page }) => page));
    const keyOf = (n: number) => mapPagesKey(vm, backupId, diskKey, n);
    const { key, n } = await storeNumbered(store, keyOf, this.nextObject, bytes);
    this.nextObject = n + 1;
    let offset = 0;
    for (const { n, page, entries } of this.pending) {
      const sha256 = hash('sha256', page, 'buffer');
      this.directory.add(n, { key, offset, length: page.length, sha256, entries });
      offset += page.length;
    }
    [this.pending, this.pendingBytes] = [[], 0];
  }

  /** Stores what is not stored yet. @returns the directory's bytes, which make the pages a map */
  async finish(stored: StoredByBackup): Promise<Buffer> {
    await this.flush();
    return this.directory.finish(stored);
  }
}
