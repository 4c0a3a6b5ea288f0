import { type BackupJournal, type Segment } from './backup-journal';
import { type BlockMap } from '../maps/block-map';
import { blockCount, pagesOf } from '../maps/block-map-format';
import { BlockMapWriter, type MapOfBackup } from '../maps/block-map-writer';
import { type KnownAreas } from './disk-areas';
import { type MapPage } from '../maps/map-page';
import { PageInMaking } from '../maps/page-in-making';

/** Milliseconds between checkpoints at least: they keep the journal small, and cost two flushes to the disk each. */
const CHECKPOINT_INTERVAL_MS = 1000;

/** The block map of a backup as it comes together, recorded so that another process can go on. */
export class MapProgress {
  private page?: PageInMaking;
  /** The first block of {@link page} that is not decided. */
  private decided?: number;
  /** The first page that is not finished. */
  private nextPage = 0;
  private storedBlocks = 0;
  private checkpointAt = Date.now();
  private counted = { nextPack: 0, storedBytes: 0 };

  private constructor(
    private readonly map: MapOfBackup,
    private readonly previous: BlockMap | undefined,
    private readonly journal: BackupJournal,
    private readonly writer: BlockMapWriter,
  ) {}

  /** Takes up what the journal has. */
  static async resume(
    map: MapOfBackup,
    previous: BlockMap | undefined,
    journal: BackupJournal,
  ): Promise<MapProgress> {
    const { checkpoint, segments } = journal.takeDone();
    const progress = new MapProgress(map, previous, journal, new BlockMapWriter(map, checkpoint));
    if (checkpoint !== undefined) {
      const { nextPage, nextPack, storedBlocks, storedBytes } = checkpoint;
      Object.assign(progress, { nextPage, storedBlocks, counted: { nextPack, storedBytes } });
    }
    let page: { n: number; previous: MapPage | undefined } | undefined;
    for (const segment of segments) {
      if (page?.n !== segment.page)
        page = { n: segment.page, previous: await pageIn(previous, segment.page) };
      await progress.apply(segment, page.previous);
    }
    return progress;
  }

  /** Where to go on: the page, and the first of its blocks that is not decided; absent for the page's first. */
  get position(): { page: number; block?: number } {
    return { page: this.nextPage, block: this.decided };
  }

  /** The first number that no recorded pack has. */
  get nextPack(): number {
    return this.counted.nextPack;
  }

  /** Bytes in the recorded packs. */
  get storedBytes(): number {
    return this.counted.storedBytes;
  }

  /**
   * Records what was found out and stored, in disk order. Durable when it returns.
   * @param previous the page in the backup that this one builds on
   */
  async record(segment: Segment, previous: MapPage | undefined): Promise<void> {
    await this.journal.add(segment);
    const finished = await this.apply(segment, previous);
    if (!finished || Date.now() - this.checkpointAt < CHECKPOINT_INTERVAL_MS) return;
    this.checkpointAt = Date.now();
    const { nextPage, storedBlocks } = this;
    await this.journal.replace({ ...this.writer.state, ...this.counted, nextPage, storedBlocks });
  }

  /** @returns whether that finished a page */
  private async apply(segment: Segment, previous: MapPage | undefined): Promise<boolean> {
    this.skip(segment.page, segment.skipped);
    this.page ??= new PageInMaking(segment.page, blockCount(this.map.sizeBytes), previous);
    this.page.add(segment);
    this.decided = segment.to;
    this.counted.nextPack = Math.max(this.counted.nextPack, (segment.pack?.n ?? -1) + 1);
    this.counted.storedBytes += segment.stored.totalLength;
    this.storedBlocks += segment.stored.length;
    if (segment.to < this.page.end) return false;

    const finished = this.page.finish();
    if (finished !== undefined) await this.writer.add(finished);
    else this.keep(segment.page);
    this.page = undefined;
    this.decided = undefined;
    this.nextPage = segment.page + 1;
    return true;
  }

  /** Decides the pages before that one which nobody needed to look at. */
  private skip(page: number, as: KnownAreas['outside']): void {
    for (; this.nextPage < page; this.nextPage++) if (as === 'as before') this.keep(this.nextPage);
  }

  private keep(page: number): void {
    const ref = this.previous?.pageRef(page);
    if (ref !== undefined) this.writer.keep(page, ref);
  }

  /** @param rest what the pages are that nobody needed to look at. @returns the bytes of the map's directory */
  async finish(rest: KnownAreas['outside']): Promise<Buffer> {
    this.skip(pagesOf(blockCount(this.map.sizeBytes)), rest);
    return this.writer.finish({ storedBlocks: this.storedBlocks, storedBytes: this.storedBytes });
  }
}

/** A page of a map; undefined where there is no map, or the page is all zeros. */
export async function pageIn(map: BlockMap | undefined, n: number): Promise<MapPage | undefined> {
  return map?.pageRef(n) === undefined ? undefined : map.page(n);
}
