import { hash } from 'node:crypto';
import { forEachBounded, mapAhead } from '../../blocks/pipeline';
import { BLOCK_SIZE, type BlockRange } from '../../blocks/port';
import { type BlockMap } from '../maps/block-map';
import { blockCount, pageBlocks, pagesOf } from '../maps/block-map-format';
import { type MapPage } from '../maps/map-page';
import { type AuditFindings } from './backup-journal';
import { type BackupMemory, EXTENT_BLOCKS, processMemory } from './backup-memory';
import { type DiskSource } from './backup-source';
import { blockRanges, type KnownAreas, rangesBetween, rangesWithin } from './disk-areas';
import { pageIn } from './map-progress';

/**
 * Change tracking may lie, and has lied: VMware's has left out changes more than once, without an error (knowledge base
 * articles 2090639, 2136854, 1020128). What it leaves out, no backup has. So each backup reads some of the blocks that need
 * not be read, others each time, and compares them with what they should be. A fault that touches one block in a hundred is
 * found by the first backup after it with 99 %, one in a thousand with 40 %.
 */

/** How much is looked at, at most. */
export interface AuditLimits {
  /** Blocks that are read. */
  blocks: number;
  /** Pages of the disk (4 GiB each) that they lie in: a page of the earlier block map takes some 400 KB to fetch. */
  pages: number;
  /** Seconds after which no further block is read. */
  seconds: number;
}

/** 256 MiB of the disk and at most 26 MB of maps: 0.3 s of CPU, and what reading at random takes (docs/performance.md). */
const LIMITS: AuditLimits = { blocks: 512, pages: 64, seconds: 20 };

/** Pages of the earlier block map that are fetched at once. */
const PAGES_AHEAD = 4;

export interface Audit {
  source: DiskSource;
  sizeBytes: number;
  known: KnownAreas;
  /** The disk's map in the backup that this one builds on. */
  previous: BlockMap | undefined;
  /** The same seed chooses the same blocks. */
  seed: string;
  signal: AbortSignal;
  /** Shared with backups; where absent, that of the process. */
  memory?: BackupMemory;
  limits?: Partial<AuditLimits>;
}

/** Blocks of a page that are said not to have changed. */
interface Unchanged {
  page: number;
  ranges: BlockRange[];
  count: number;
}

/**
 * Reads blocks outside of the known areas, chosen by chance and spread over the disk, as far as the limits allow: half of
 * them such as the earlier backup has, half such as should be zeros. Ends with the first that is not what it should be.
 * @throws DamagedObjectError where the earlier block map is
 */
export async function auditUnchanged(audit: Audit): Promise<AuditFindings> {
  const { source, known, seed, signal } = audit;
  const limits = { ...LIMITS, ...audit.limits };
  const random = randomOf(seed);
  const map = known.outside === 'as before' ? audit.previous : undefined;
  const pages = [...unchangedPages(known, audit.sizeBytes)];
  const of = pages.reduce((sum, { count }) => sum + count, 0);
  const all = of <= limits.blocks;
  const chosen = all ? pages : choosePages(pages, map, limits.pages, random);
  const ofEach = all ? Infinity : Math.ceil(limits.blocks / chosen.length);
  const endAt = performance.now() + limits.seconds * 1000;

  let read = 0;
  let mismatch: number | undefined;
  const { extents } = audit.memory ?? processMemory;
  const memory = await extents.take(signal);
  const free = Array.from({ length: EXTENT_BLOCKS }, (_, n) =>
    memory.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE),
  );
  const isOver = (): boolean => mismatch !== undefined || read >= limits.blocks || performance.now() >= endAt;
  function* untilOver(indexes: readonly number[]): Generator<number> {
    for (const index of indexes) {
      if (isOver()) return;
      read++;
      yield index;
    }
  }
  try {
    const withMaps = mapAhead(shuffled(chosen, random), PAGES_AHEAD, async (unchanged) => ({
      unchanged,
      before: await pageIn(map, unchanged.page),
    }));
    for await (const { unchanged, before } of withMaps) {
      const indexes = chooseBlocks(unchanged, before, ofEach, random);
      await forEachBounded(untilOver(indexes), EXTENT_BLOCKS, signal, async (index) => {
        const into = free.pop()!;
        if (!(await isAsExpected(source, index, before, into))) mismatch = Math.min(index, mismatch ?? index);
        free.push(into);
      });
      if (isOver()) break;
    }
  } finally {
    extents.give(memory);
  }
  return { seed, read, of, ...(mismatch === undefined ? {} : { mismatch }) };
}

function* unchangedPages({ areas }: KnownAreas, sizeBytes: number): Generator<Unchanged> {
  const blocks = blockCount(sizeBytes);
  const outside = [...rangesBetween(blockRanges(areas, sizeBytes), blocks)];
  for (let page = 0; page < pagesOf(blocks); page++) {
    const ranges = [...rangesWithin(outside, pageBlocks(page, blocks))];
    const count = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
    if (count > 0) yield { page, ranges, count };
  }
}

function choosePages(
  pages: readonly Unchanged[],
  map: BlockMap | undefined,
  most: number,
  random: () => number,
): Unchanged[] {
  const isZeros = ({ page }: Unchanged): boolean => map?.pageRef(page) === undefined;
  return half(
    pages.filter((page) => !isZeros(page)),
    pages.filter(isZeros),
    most,
    random,
  );
}

function chooseBlocks(
  { ranges }: Unchanged,
  before: MapPage | undefined,
  most: number,
  random: () => number,
): number[] {
  const data: number[] = [];
  const zeros: number[] = [];
  for (const { from, to } of ranges) {
    let position = before?.firstFrom(from) ?? 0;
    for (let index = from; index < to; index++) {
      const isData = before !== undefined && position < before.length && before.indexAt(position) === index;
      if (isData) position++;
      (isData ? data : zeros).push(index);
    }
  }
  return half(data, zeros, most, random);
}

/** Half of each, or more of one where the other has less. */
function half<T>(left: readonly T[], right: readonly T[], most: number, random: () => number): T[] {
  const ofLeft = Math.min(left.length, Math.max(Math.ceil(most / 2), most - right.length));
  return [...spread(left, ofLeft, random), ...spread(right, most - ofLeft, random)];
}

/** So many of the items: one, by chance, of each of as many stretches of equal length. */
function spread<T>(items: readonly T[], count: number, random: () => number): T[] {
  if (count >= items.length) return [...items];
  return Array.from({ length: count }, (_, n) => {
    const from = Math.floor((n * items.length) / count);
    const to = Math.floor(((n + 1) * items.length) / count);
    return items[from + Math.floor(random() * (to - from))]!;
  });
}

/** So that an audit that runs out of time has looked at the whole disk all the same. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** Numbers from 0 up to, and without, 1. */
function randomOf(seed: string): () => number {
  let n = 0;
  return () => hash('sha256', `${seed} ${n++}`, 'buffer').readUInt32BE() / 2 ** 32;
}

async function isAsExpected(
  source: DiskSource,
  index: number,
  before: MapPage | undefined,
  into: Buffer,
): Promise<boolean> {
  const [hasData] = await source.readRange(index, 1, into);
  const position = before?.positionOf(index) ?? -1;
  if (position < 0) return hasData === false;
  return hasData === true && hash('sha256', into, 'buffer').equals(before!.sha256At(position));
}
