import { type MapPage } from '../maps/map-page';
import { type ObjectStore } from '../objects/object-store';
import { decodeBlockHere } from '../packs/pack';
import { RecentlyUsed } from './recently-used';
import { StoredRanges } from './stored-ranges';

/** Plain blocks that are kept: 16 MiB. A file system's reads are small, and several of a block come together. */
const KEPT_BLOCKS = 32;

/**
 * Blocks of a VM's disks, verified, the last ones kept. Nothing in here waits for a thread of libuv: those may all be waiting for
 * these blocks, where this process reads a file that it serves itself.
 */
export class PlainBlocks {
  /** By their digests, so that none is given out for another, whatever a block map says of where they lie. */
  private readonly blocks = new RecentlyUsed<string, Promise<Buffer>>(KEPT_BLOCKS);
  private readonly ranges: StoredRanges;

  constructor(store: ObjectStore, signal: AbortSignal) {
    this.ranges = new StoredRanges(store, signal);
  }

  /**
   * The block at a position of a page; not to be written to.
   * @throws DamagedObjectError, DamagedBlockError
   */
  read(page: MapPage, position: number): Promise<Buffer> {
    const digest = page.sha256At(position).toString('latin1');
    const kept = this.blocks.get(digest);
    if (kept !== undefined) return kept;
    const block = this.load(page, position);
    this.blocks.set(digest, block);
    return block;
  }

  private async load(page: MapPage, position: number): Promise<Buffer> {
    const { entry, stored } = await this.ranges.read(page, position);
    const block = decodeBlockHere(entry, stored);
    // What is a part of a range would keep all of it in memory.
    return entry.encoding === 'raw' ? Buffer.from(block) : block;
  }
}
