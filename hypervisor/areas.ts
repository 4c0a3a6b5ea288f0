import { type DiskArea } from './port';

/**
 * Lists of areas that stay short. Leaving a gap out makes an area too large, which is always allowed; so where there
 * are too many, those with the smallest gaps between them become one.
 */

/** As many areas as a list may have: a few megabytes of memory and of a message, whatever the disk. */
export const MAX_AREAS = 32_768;

/** A block of a copy: closer areas mostly touch the same block, so joining them costs nothing. */
const FIRST_GAP = 512 * 1024;

/** The union of areas in any order: ascending, disjoint, and at most {@link MAX_AREAS}. */
export function mergeAreas(areas: readonly DiskArea[], most = MAX_AREAS): DiskArea[] {
  let merged = join(
    [...areas].sort((a, b) => a.offset - b.offset),
    0,
  );
  for (let gap = FIRST_GAP; merged.length > most; gap *= 2) merged = join(merged, gap);
  return merged;
}

/** Collects areas one by one, in constant memory. */
export class AreaCollector {
  private areas: DiskArea[] = [];

  constructor(private readonly most = MAX_AREAS) {}

  add(offset: number, length: number): void {
    if (length <= 0) return;
    const last = this.areas.at(-1);
    if (last && last.offset + last.length === offset) last.length += length;
    else this.areas.push({ offset, length });
    if (this.areas.length >= 2 * this.most) this.areas = mergeAreas(this.areas, this.most);
  }

  merged(): DiskArea[] {
    return mergeAreas(this.areas, this.most);
  }
}

/** The areas as far as they lie on a disk of that many bytes: bitmaps and grains end behind it. */
export function clipAreas(areas: readonly DiskArea[], sizeBytes: number): DiskArea[] {
  return areas
    .filter(({ offset }) => offset < sizeBytes)
    .map(({ offset, length }) => ({ offset, length: Math.min(length, sizeBytes - offset) }));
}

/** What of the range from `offset` lies in `areas`, which are ascending and disjoint. */
export function* withinAreas(
  areas: readonly DiskArea[],
  offset: number,
  length: number,
): Generator<DiskArea> {
  const end = offset + length;
  for (let i = firstEndingAfter(areas, offset); i < areas.length; i++) {
    const area = areas[i] as DiskArea;
    if (area.offset >= end) return;
    const from = Math.max(area.offset, offset);
    yield { offset: from, length: Math.min(area.offset + area.length, end) - from };
  }
}

/** Joins areas, sorted by offset, with at most `gap` bytes between them. */
function join(areas: readonly DiskArea[], gap: number): DiskArea[] {
  const joined: DiskArea[] = [];
  for (const { offset, length } of areas) {
    const last = joined.at(-1);
    if (last && offset <= last.offset + last.length + gap)
      last.length = Math.max(last.length, offset + length - last.offset);
    else joined.push({ offset, length });
  }
  return joined;
}

function firstEndingAfter(areas: readonly DiskArea[], offset: number): number {
  let low = 0;
  let high = areas.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const area = areas[middle] as DiskArea;
    if (area.offset + area.length > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
