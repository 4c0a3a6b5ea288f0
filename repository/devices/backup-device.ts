import { BLOCK_SIZE } from '../../blocks/port';
import { ZERO_BLOCK } from '../../blocks/zero';
import { type ReadableDevice } from '../../machines/nbd/server';
import { type BlockMap, MAP_PAGE_BLOCKS } from '../maps/block-map';
import { type MapPage } from '../maps/map-page';
import { type ObjectStore } from '../objects/object-store';
import { decodeBlockHere } from '../packs/pack';
import { RecentlyUsed } from './recently-used';
import { StoredRanges } from './stored-ranges';

/** Plain blocks that are kept: 16 MiB. A file system's reads are small, and several of a block come together. */
const KEPT_BLOCKS = 32;
/** Pages of the block map that are kept, some 400 KB each: a file system is looked at in many places, of 4 GiB a page. */
const KEPT_PAGES = 16;

/**
 * A backed-up disk, read at any offset straight from the repository. Whoever reads it may be a tool that can only be told of an
 * I/O error; so the first failure is kept here, and every read after it fails at once.
 */
export class BackupDevice implements ReadableDevice {
  private readonly pages = new RecentlyUsed<number, Promise<MapPage>>(KEPT_PAGES);
  private readonly blocks = new RecentlyUsed<number, Promise<Buffer>>(KEPT_BLOCKS);
  private readonly ranges: StoredRanges;
  private failed: { reason: unknown } | undefined;

  constructor(
    private readonly map: BlockMap,
    store: ObjectStore,
    private readonly signal: AbortSignal,
  ) {
    this.ranges = new StoredRanges(store, signal);
  }

  get sizeBytes(): number {
    return this.map.diskSizeBytes;
  }

  /** @throws what the first read that failed was given */
  throwFailure(): void {
    // Whatever the store made of it is thrown as it is.
    if (this.failed !== undefined) throw this.failed.reason;
  }

  /**
   * @throws DamagedObjectError, DamagedBlockError where the repository does not hold what its block map says; the signal's
   *   reason; what the store throws when it has been tried long enough
   */
  async read(offset: number, length: number): Promise<Buffer[]> {
    this.throwFailure();
    try {
      const end = offset + length;
      const reads: Promise<Buffer>[] = [];
      for (let index = Math.floor(offset / BLOCK_SIZE); index * BLOCK_SIZE < end; index++) {
        const start = index * BLOCK_SIZE;
        const part = [Math.max(offset - start, 0), Math.min(end - start, BLOCK_SIZE)] as const;
        reads.push(this.block(index).then((block) => block.subarray(...part)));
      }
      return await Promise.all(reads);
    } catch (error) {
      this.failed ??= { reason: error };
      throw error;
    }
  }

  private block(index: number): Promise<Buffer> {
    const kept = this.blocks.get(index);
    if (kept !== undefined) return kept;
    const block = this.load(index);
    this.blocks.set(index, block);
    return block;
  }

  private async load(index: number): Promise<Buffer> {
    this.signal.throwIfAborted();
    const n = Math.floor(index / MAP_PAGE_BLOCKS);
    if (this.map.pageRef(n) === undefined) return ZERO_BLOCK;
    const page = await this.page(n);
    const position = page.positionOf(index);
    if (position < 0) return ZERO_BLOCK;
    const { entry, stored } = await this.ranges.read(page, position);
    const block = decodeBlockHere(entry, stored);
    // What is a part of a range would keep all of it in memory.
    return entry.encoding === 'raw' ? Buffer.from(block) : block;
  }

  private page(n: number): Promise<MapPage> {
    const kept = this.pages.get(n);
    if (kept !== undefined) return kept;
    const page = this.map.page(n);
    this.pages.set(n, page);
    return page;
  }
}
