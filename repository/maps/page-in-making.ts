import { type MapEntry, pageBlocks } from './block-map-format';
import { type EntryList } from './entry-list';
import { type MapPage } from './map-page';
import { MapPageBuilder } from './map-page-builder';

/** What was found out about a stretch of a page's blocks. */
export interface PageStretch {
  /** Blocks that the previous backup had and that are not as they were: stored anew, or zeros now. */
  gone: readonly number[];
  /** Key of the pack; absent where nothing was stored. */
  pack?: { key: string };
  /** What is stored in it, in disk order. */
  stored: EntryList;
}

/** A page of a block map that comes together out of stretches, in disk order, over one of the previous backup. */
export class PageInMaking {
  private readonly gone = new Set<number>();
  private readonly stretches: PageStretch[] = [];

  constructor(
    readonly n: number,
    /** Blocks of the disk. */
    private readonly blocks: number,
    private readonly previous: MapPage | undefined,
  ) {}

  /** The block after the page's last. */
  get end(): number {
    return pageBlocks(this.n, this.blocks).to;
  }

  add(stretch: PageStretch): void {
    for (const index of stretch.gone) this.gone.add(index);
    if (stretch.stored.length > 0) this.stretches.push(stretch);
  }

  /** @returns undefined where the page is as it was in the previous backup */
  finish(): MapPageBuilder | undefined {
    if (this.gone.size === 0 && this.stretches.length === 0) return undefined;
    const builder = new MapPageBuilder(this.n, this.blocks);
    const stored = this.stored();
    let next = stored.next();
    for (let position = 0; position < (this.previous?.length ?? 0); position++) {
      const index = this.previous!.indexAt(position);
      if (this.gone.has(index)) continue;
      for (; !next.done && next.value.index < index; next = stored.next()) builder.add(next.value);
      builder.add(this.previous!.at(position));
    }
    for (; !next.done; next = stored.next()) builder.add(next.value);
    return builder;
  }

  private *stored(): Generator<MapEntry, undefined> {
    for (const { pack, stored } of this.stretches)
      for (let position = 0; position < stored.length; position++)
        yield { ...stored.at(position), pack: pack?.key ?? '' };
  }
}
