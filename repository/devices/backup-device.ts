import { BLOCK_SIZE } from '../../blocks/port';
import { ZERO_BLOCK } from '../../blocks/zero';
import { type ReadableDevice } from '../../machines/nbd/server';
import { type BlockMap, MAP_PAGE_BLOCKS } from '../maps/block-map';
import { type MapPage } from '../maps/map-page';
import { type PlainBlocks } from './plain-blocks';
import { RecentlyUsed } from './recently-used';

/** Pages of the block map that are kept, some 400 KB each: a file system is looked at in many places, of 4 GiB a page. */
const KEPT_PAGES = 16;

/**
 * A backed-up disk, read at any offset straight from the repository. Whoever reads it may be a tool that can only be told of an
 * I/O error; so the first failure is kept here, and every read after it fails at once.
 */
export class BackupDevice implements ReadableDevice {
  private readonly pages = new RecentlyUsed<number, Promise<MapPage>>(KEPT_PAGES);
  private failed: { reason: unknown } | undefined;

  /** @param blocks may be shared with other disks of the VM */
  constructor(
    private readonly map: BlockMap,
    private readonly blocks: PlainBlocks,
    private readonly signal: AbortSignal,
  ) {}

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

  private async block(index: number): Promise<Buffer> {
    this.signal.throwIfAborted();
    const n = Math.floor(index / MAP_PAGE_BLOCKS);
    if (this.map.pageRef(n) === undefined) return ZERO_BLOCK;
    const page = await this.page(n);
    const position = page.positionOf(index);
    return position < 0 ? ZERO_BLOCK : this.blocks.read(page, position);
  }

  private page(n: number): Promise<MapPage> {
    const kept = this.pages.get(n);
    if (kept !== undefined) return kept;
    const page = this.map.page(n);
    this.pages.set(n, page);
    return page;
  }
}
