import { mapAhead } from '../../blocks/pipeline';
import { type BlockMap } from './block-map';
import { BlockMapError, MAP_PAGE_BLOCKS, type MapEntry } from './block-map-format';
import { type MapPage } from './map-page';

/** A block in which a disk differs from its parent. */
export interface ChangedBlock {
  index: number;
  /** Absent where the block is all zeros now. */
  entry?: MapEntry;
}

/** Pages (of both maps) read ahead of the consumer: they hide the latency of S3 at some 400 KB each. */
const PAGES_AHEAD = 2;

/**
 * Blocks in which a disk differs from its parent: changed, new, or become zero; without a parent, those that are not
 * zero. Ascending, one array a page. Pages that both maps have alike are not read.
 * @param range looks at blocks `from` to `to - 1` only
 * @throws BlockMapError where the disks differ in size, so that one is no parent of the other
 * @throws DamagedObjectError
 */
export async function* changedBlocks(
  map: BlockMap,
  parent?: BlockMap,
  range: { from: number; to: number } = { from: 0, to: map.blocks },
): AsyncGenerator<ChangedBlock[]> {
  checkParent(map, parent);
  const numbers = differingPages(map, parent, range);
  const pages = mapAhead(numbers, PAGES_AHEAD, (n) => Promise.all([pageOf(map, n), pageOf(parent, n)]));
  for await (const [mine, theirs] of pages) {
    const changed = compare(mine, theirs, range);
    if (changed.length > 0) yield changed;
  }
}

/**
 * How many blocks {@link changedBlocks} would give. Only pages that both maps have and that differ are read.
 * @throws BlockMapError where the disks differ in size
 * @throws DamagedObjectError
 */
export async function countChangedBlocks(map: BlockMap, parent?: BlockMap): Promise<number> {
  checkParent(map, parent);
  let count = 0;
  const range = { from: 0, to: map.blocks };
  const counts = mapAhead(differingPages(map, parent, range), PAGES_AHEAD, async (n) => {
    const [mine, theirs] = [map.pageRef(n), parent?.pageRef(n)];
    if (mine === undefined || theirs === undefined) return (mine ?? theirs)?.entries ?? 0;
    return compare(await pageOf(map, n), await pageOf(parent, n), range).length;
  });
  for await (const changed of counts) count += changed;
  return count;
}

function checkParent(map: BlockMap, parent: BlockMap | undefined): void {
  if (parent !== undefined && parent.diskSizeBytes !== map.diskSizeBytes)
    throw new BlockMapError(`a disk of ${map.diskSizeBytes} bytes has no parent of ${parent.diskSizeBytes}`);
}

/** Numbers of the pages in which something may differ, ascending. */
function* differingPages(
  map: BlockMap,
  parent: BlockMap | undefined,
  { from, to }: { from: number; to: number },
): Generator<number> {
  const end = Math.min(map.pageCount, Math.ceil(to / MAP_PAGE_BLOCKS));
  for (let n = Math.floor(from / MAP_PAGE_BLOCKS); n < end; n++) {
    const [mine, theirs] = [map.pageRef(n)?.sha256, parent?.pageRef(n)?.sha256];
    const same = mine === undefined ? theirs === undefined : theirs !== undefined && mine.equals(theirs);
    if (!same) yield n;
  }
}

async function pageOf(map: BlockMap | undefined, n: number): Promise<MapPage | undefined> {
  return map?.pageRef(n) === undefined ? undefined : map.page(n);
}

function compare(
  mine: MapPage | undefined,
  theirs: MapPage | undefined,
  { from, to }: { from: number; to: number },
): ChangedBlock[] {
  const changed: ChangedBlock[] = [];
  let a = mine?.firstFrom(from) ?? 0;
  let b = theirs?.firstFrom(from) ?? 0;
  for (;;) {
    const index = mine !== undefined && a < mine.length ? mine.indexAt(a) : Infinity;
    const other = theirs !== undefined && b < theirs.length ? theirs.indexAt(b) : Infinity;
    if (Math.min(index, other) >= to) return changed;
    if (other < index) changed.push({ index: other });
    else if (index < other || !mine!.sha256At(a).equals(theirs!.sha256At(b)))
      changed.push(new EntryOfPage(index, mine!, a));
    if (index <= other) a++;
    if (other <= index) b++;
  }
}

/** Makes its entry when asked: a page of them made ahead would take megabytes for each disk under way. */
class EntryOfPage implements ChangedBlock {
  constructor(
    readonly index: number,
    private readonly page: MapPage,
    private readonly position: number,
  ) {}

  get entry(): MapEntry {
    return this.page.at(this.position);
  }
}
