import { mapAhead } from '../../blocks/pipeline';
import { type BlockMap } from '../maps/block-map';

/** Pages read ahead, some 400 KB each. */
const PAGES_AHEAD = 4;

/** Objects that a page of a block map needs. */
export interface PageObjects {
  /** Number of the page. */
  page: number;
  /** Key of the object that the page is in. */
  pages: string;
  /** Keys of the packs that its blocks are in, each once. */
  packs: readonly string[];
}

/**
 * All objects that a backed-up disk needs besides its map's own: page by page in disk order, so in bounded memory.
 * Keys come again from page to page.
 * @param known a map whose objects are known already: pages that it has alike are not read, and not given again
 * @throws DamagedObjectError
 */
export async function* referencedObjects(map: BlockMap, known?: BlockMap): AsyncGenerator<PageObjects> {
  function* unknown(): Generator<number> {
    for (const n of map.pages()) {
      const [mine, theirs] = [map.pageRef(n)!, known?.pageRef(n)];
      const same =
        theirs !== undefined &&
        theirs.key === mine.key &&
        theirs.offset === mine.offset &&
        theirs.sha256.equals(mine.sha256);
      if (!same) yield n;
    }
  }
  yield* mapAhead(unknown(), PAGES_AHEAD, async (n) => ({
    page: n,
    pages: map.pageRef(n)!.key,
    packs: (await map.page(n)).packs,
  }));
}
