import { BLOCK_SIZE, type BlockRange } from '../../blocks/port';
import { type DiskArea } from '../../hypervisor/port';

/** What is known of a disk before it is read. */
export interface KnownAreas {
  /** Ascending and disjoint. Only these need to be read. */
  areas: readonly DiskArea[];
  /** What is outside: nothing but zeros, or what was there in the backup that this one builds on. */
  outside: 'zeros' | 'as before';
}

/**
 * The blocks that areas touch, wholly or in part: ascending, with at least a block between two ranges. The last area may
 * go beyond the disk, as clusters of an image do.
 * @throws Error where the areas are not ascending and disjoint, or begin beyond the disk: then they mean something else
 */
export function blockRanges(areas: readonly DiskArea[], sizeBytes: number): BlockRange[] {
  const ranges: BlockRange[] = [];
  let end = 0;
  for (const { offset, length } of areas) {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < end || length < 0)
      throw new Error(`The area of ${length} bytes at ${offset} of a disk does not follow the one before.`);
    end = offset + length;
    if (offset > sizeBytes || (offset === sizeBytes && length > 0))
      throw new Error(`The area of ${length} bytes at ${offset} is not on the disk of ${sizeBytes} bytes.`);
    if (length === 0) continue;
    const range = {
      from: Math.floor(offset / BLOCK_SIZE),
      to: Math.ceil(Math.min(end, sizeBytes) / BLOCK_SIZE),
    };
    const last = ranges.at(-1);
    if (last !== undefined && range.from <= last.to) last.to = Math.max(last.to, range.to);
    else ranges.push(range);
  }
  return ranges;
}

/** Those parts of ascending ranges that lie in one range. */
export function* rangesWithin(
  ranges: readonly BlockRange[],
  { from, to }: BlockRange,
): Generator<BlockRange> {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.to <= from) low = middle + 1;
    else high = middle;
  }
  for (; low < ranges.length && ranges[low]!.from < to; low++)
    yield { from: Math.max(from, ranges[low]!.from), to: Math.min(to, ranges[low]!.to) };
}

/** What ascending and disjoint ranges leave of a disk of so many blocks. */
export function* rangesBetween(ranges: readonly BlockRange[], blocks: number): Generator<BlockRange> {
  let from = 0;
  for (const range of ranges) {
    if (range.from > from) yield { from, to: range.from };
    from = range.to;
  }
  if (from < blocks) yield { from, to: blocks };
}
