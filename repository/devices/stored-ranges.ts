import { withBackoff } from '../../blocks/backoff';
import { AdaptiveLimit } from '../../blocks/limits/concurrency';
import { isTransientAwsError } from '../../blocks/transient';
import { type MapEntry } from '../maps/block-map-format';
import { type MapPage } from '../maps/map-page';
import { type ObjectStore } from '../objects/object-store';
import { MAX_GAP_BYTES, PACK_BACKOFF } from '../packs/block-reader';

/**
 * Bytes of a ranged GET. Blocks around the one that is asked for come with it: S3 takes 20 to 50 ms to begin, in which
 * it could send 2 to 4 MiB, and what a file system reads next is often near.
 */
const RANGE_BYTES = 2 ** 20;
/** Where ranges are asked for one after another, each is twice as long as the one before, up to this. */
const LONGEST_RANGE_BYTES = 4 * RANGE_BYTES;
/**
 * Bytes of ranges that are kept, as they are stored, until a block in them is asked for: adapting a Debian reads 216 blocks, many
 * of them several times, and half of this takes a third more GETs.
 */
const KEPT_BYTES = 32 * 2 ** 20;
/** Ranged GETs of all devices of this process under way: what is asked for at once is little, and memory is bounded. */
const GETS_AT_ONCE = 8;

const limit = new AdaptiveLimit({ initial: GETS_AT_ONCE, most: GETS_AT_ONCE });

/** A stretch of a pack that was asked for. */
interface StoredRange {
  pack: string;
  offset: number;
  length: number;
  /** How long it might have been. */
  most: number;
  bytes: Promise<Buffer>;
}

/**
 * Stored blocks of a VM's disks, fetched with their neighbours and kept for a while. Not in the memory of block copies: those may wait
 * for the disk themselves, with all of it taken.
 */
export class StoredRanges {
  /** Those that were used last come last. */
  private readonly ranges: StoredRange[] = [];

  constructor(
    private readonly store: ObjectStore,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * The stored bytes of the block at a position of a page.
   * @throws DamagedObjectError where the pack is missing or too short
   */
  async read(page: MapPage, position: number): Promise<{ entry: MapEntry; stored: Buffer }> {
    const entry = page.at(position);
    const range = this.find(entry) ?? this.fetch(page, position);
    const start = entry.offset - range.offset;
    return { entry, stored: (await range.bytes).subarray(start, start + entry.length) };
  }

  private find(entry: MapEntry): StoredRange | undefined {
    const at = this.ranges.findIndex((range) => isWithin(entry, range));
    if (at < 0) return undefined;
    const [range] = this.ranges.splice(at, 1) as [StoredRange];
    this.ranges.push(range);
    return range;
  }

  private fetch(page: MapPage, position: number): StoredRange {
    const range = this.plan(page, position);
    const bytes = limit.run(() =>
      withBackoff(PACK_BACKOFF, this.signal, isTransientAwsError, async () => {
        const into = Buffer.allocUnsafeSlow(range.length);
        await this.store.readRange(range.pack, range.offset, into, this.signal);
        return into;
      }),
    );
    const kept = { ...range, bytes };
    this.ranges.push(kept);
    let sum = this.ranges.reduce((total, { length }) => total + length, 0);
    while (sum > KEPT_BYTES && this.ranges.length > 1) sum -= (this.ranges.shift() as StoredRange).length;
    return kept;
  }

  /** A range with the block in it, and with what lies beside it in the pack and in the page. */
  private plan(page: MapPage, position: number): Omit<StoredRange, 'bytes'> {
    const { pack, offset, length } = page.at(position);
    const before = this.ranges.find(
      (range) => range.pack === pack && isNear(range.offset + range.length, offset),
    );
    const most = before === undefined ? RANGE_BYTES : Math.min(2 * before.most, LONGEST_RANGE_BYTES);
    let [from, to] = [offset, offset + length];
    /** Takes the neighbour in where it is one, and is not there already. */
    const takesIn = (neighbour: MapEntry): boolean => {
      const end = neighbour.offset + neighbour.length;
      const near = neighbour.pack === pack && (isNear(to, neighbour.offset) || isNear(end, from));
      if (!near || Math.max(to, end) - Math.min(from, neighbour.offset) > most) return false;
      if (this.ranges.some((range) => isWithin(neighbour, range))) return false;
      [from, to] = [Math.min(from, neighbour.offset), Math.max(to, end)];
      return true;
    };
    for (let next = position + 1; next < page.length && takesIn(page.at(next));) next++;
    for (let next = position - 1; next >= 0 && takesIn(page.at(next));) next--;
    return { pack, offset: from, length: to - from, most };
  }
}

const isNear = (end: number, begin: number): boolean => begin >= end && begin - end <= MAX_GAP_BYTES;

const isWithin = ({ pack, offset, length }: MapEntry, range: StoredRange): boolean =>
  pack === range.pack && offset >= range.offset && offset + length <= range.offset + range.length;
