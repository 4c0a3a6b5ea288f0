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
}

/** Whether heartbeat details that somebody handed over are a copy's. */
export function isCopyProgress(details: unknown): details is CopyProgress {
  if (typeof details !== 'object' || details === null) return false;
  const { what, vm, disk, doneBlocks, totalBlocks, bytes } = details as Record<string, unknown>;
  return (
    [what, vm, disk].every((text) => typeof text === 'string') &&
    [doneBlocks, totalBlocks, bytes].every(
      (count) => typeof count === 'number' && Number.isFinite(count) && count >= 0,
    )
  );
}
