/** What every block copy tells in its heartbeats, so that progress can be shown. */
export interface CopyProgress {
  /** What is being done, in the words of Lifeboat: "backup", "restore", "failback". */
  what: string;
  vm: string;
  /** Key of the disk. */
  disk: string;
  /** Blocks that are done, of {@link totalBlocks}. */
  doneBlocks: number;
  totalBlocks: number;
  /** Bytes that the done blocks came to: stored, sent or written. */
  bytes: number;
  /** Bytes a second over the last seconds. */
  bytesPerSecond?: number;
  /** Seconds until the end at the pace of the last seconds. */
  secondsLeft?: number;
  /** Where the copy is an extent of a disk's: how many blocks the extents before it have, and all of them together. */
  extent?: { blocksBefore: number; diskBlocks: number };
}

/** Whether heartbeat details that somebody handed over are a copy's. */
export function isCopyProgress(details: unknown): details is CopyProgress {
  if (typeof details !== 'object' || details === null) return false;
  const { what, vm, disk, doneBlocks, totalBlocks, bytes, bytesPerSecond, secondsLeft, extent } =
    details as Record<string, unknown>;
  const { blocksBefore = 0, diskBlocks = 0 } =
    typeof extent === 'object' && extent !== null ? (extent as Record<string, unknown>) : {};
  return (
    [what, vm, disk].every((text) => typeof text === 'string') &&
    [doneBlocks, totalBlocks, bytes, bytesPerSecond ?? 0, secondsLeft ?? 0, blocksBefore, diskBlocks].every(
      (count) => typeof count === 'number' && Number.isFinite(count) && count >= 0,
    )
  );
}

/**
 * One progress a disk: the extents of a disk that are under way, put together. Extents are begun in order, so one
 * before or between those under way is done, and one behind them has not begun.
 */
export function byDisk(copies: readonly CopyProgress[]): CopyProgress[] {
  const disks = Map.groupBy(copies, ({ what, vm, disk }) => JSON.stringify([what, vm, disk]));
  return [...disks.values()].map((parts) => parts.sort(byPlace).reduce(joined));
}

const before = ({ extent }: CopyProgress): number => extent?.blocksBefore ?? 0;
const byPlace = (a: CopyProgress, b: CopyProgress): number => before(a) - before(b);

function joined(left: CopyProgress, right: CopyProgress): CopyProgress {
  const bytesPerSecond = (left.bytesPerSecond ?? 0) + (right.bytesPerSecond ?? 0);
  // What lies between two extents that are under way is done.
  const between = before(right) - (before(left) + left.totalBlocks);
  return {
    ...left,
    doneBlocks: left.doneBlocks + Math.max(0, between) + right.doneBlocks,
    totalBlocks: before(right) + right.totalBlocks - before(left),
    bytes: left.bytes + right.bytes,
    bytesPerSecond,
    secondsLeft: Math.max(left.secondsLeft ?? 0, right.secondsLeft ?? 0),
  };
}

/** The disk's own numbers, where the progress is that of extents. */
export function wholeDisk(progress: CopyProgress): CopyProgress {
  const { extent, ...rest } = progress;
  if (extent === undefined) return progress;
  const doneBlocks = extent.blocksBefore + progress.doneBlocks;
  const pace = progress.secondsLeft === undefined ? 0 : progress.totalBlocks - progress.doneBlocks;
  const left = extent.diskBlocks - doneBlocks;
  return {
    ...rest,
    doneBlocks,
    totalBlocks: extent.diskBlocks,
    ...(pace > 0 ? { secondsLeft: (progress.secondsLeft! * left) / pace } : {}),
  };
}

/** Seconds over which speed is measured: long enough to be steady, short enough to show a change. */
const MEASURED_SECONDS = 10;

/** Speed of a copy, from looks at its progress. */
export class SpeedMeter {
  private readonly looks: { at: number; blocks: number; bytes: number }[] = [];

  /** @param now in milliseconds, of any clock that only goes forward */
  look(
    progress: CopyProgress,
    now = performance.now(),
  ): Pick<CopyProgress, 'bytesPerSecond' | 'secondsLeft'> {
    this.looks.push({ at: now, blocks: progress.doneBlocks, bytes: progress.bytes });
    while (this.looks.length > 2 && this.looks[1]!.at <= now - MEASURED_SECONDS * 1000) this.looks.shift();
    const first = this.looks[0]!;
    const seconds = (now - first.at) / 1000;
    const blocks = progress.doneBlocks - first.blocks;
    if (seconds <= 0 || blocks <= 0) return {};
    return {
      bytesPerSecond: Math.max(0, progress.bytes - first.bytes) / seconds,
      secondsLeft: Math.max(0, progress.totalBlocks - progress.doneBlocks) / (blocks / seconds),
    };
  }
}
