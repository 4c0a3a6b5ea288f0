import { hash } from 'node:crypto';
import { BlockMapError, blockCount, type MapPageRef, pagesOf } from './block-map-format';
import { DamagedObjectError } from '../objects/json-object';
import { MapDirectory } from './map-directory';
import { MapPage } from './map-page';
import { type ObjectStore } from '../objects/object-store';

export { MAP_PAGE_BLOCKS } from './block-map-format';

/**
 * Which blocks a disk had at a backup, and where each is stored. The map is complete: a block without an entry was
 * all zeros. In memory is its directory only (52 bytes for 4 GiB of data); pages are read when they are asked for,
 * and kept by nobody but who asked.
 */
export class BlockMap {
  private constructor(
    private readonly store: ObjectStore,
    private readonly vm: string,
    private readonly directory: MapDirectory,
  ) {}

  /**
   * Reads the directory of a map.
   * @param vm objects of any other VM are refused
   * @throws BlockMapError
   */
  static parse(store: ObjectStore, vm: string, bytes: Buffer): BlockMap {
    return new BlockMap(store, vm, MapDirectory.parse(bytes, vm));
  }

  get diskSizeBytes(): number {
    return this.directory.diskSizeBytes;
  }

  /** Blocks of the disk, zeros included. */
  get blocks(): number {
    return blockCount(this.diskSizeBytes);
  }

  /** Blocks that are not all zeros. */
  get length(): number {
    return this.directory.dataBlocks;
  }

  /** Of {@link length}, those that the backup itself stored. */
  get storedBlocks(): number {
    return this.directory.storedBlocks;
  }

  /** Bytes that {@link storedBlocks} take. */
  get storedBytes(): number {
    return this.directory.storedBytes;
  }

  /** Pages of the disk, of MAP_PAGE_BLOCKS blocks each, those of zeros included. */
  get pageCount(): number {
    return pagesOf(this.blocks);
  }

  /** Where a page is; undefined where all of its blocks are zeros. */
  pageRef(n: number): MapPageRef | undefined {
    return this.directory.find(n);
  }

  /** Numbers of the pages that are not all zeros, ascending. */
  *pages(): Generator<number> {
    for (let position = 0; position < this.directory.length; position++)
      yield this.directory.numberAt(position);
  }

  /**
   * Reads a page: one ranged GET, verified by its SHA-256, every entry checked.
   * @throws DamagedObjectError where it is missing or not what the directory says
   * @throws RangeError where it is all zeros: such a page is stored nowhere
   */
  async page(n: number): Promise<MapPage> {
    const ref = this.pageRef(n);
    if (ref === undefined) throw new RangeError(`Page ${n} is all zeros.`);
    const bytes = await this.store.getRange(ref.key, ref.offset, ref.length);
    if (!hash('sha256', bytes, 'buffer').equals(ref.sha256))
      throw new DamagedObjectError(ref.key, `the SHA-256 of page ${n} of a block map in it is another.`);
    try {
      const page = MapPage.parse(bytes, { n, blocks: this.blocks, vm: this.vm });
      if (page.length !== ref.entries)
        throw new BlockMapError(
          `page ${n} has ${page.length} entries, and its directory says ${ref.entries}`,
        );
      return page;
    } catch (error) {
      if (error instanceof BlockMapError) throw new DamagedObjectError(ref.key, error.message);
      throw error;
    }
  }
}
