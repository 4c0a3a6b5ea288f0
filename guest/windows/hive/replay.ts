import {
  AT,
  BASE_BLOCK_BYTES,
  baseBlockChecksum,
  FILE_TYPE,
  HEADER_BYTES,
  HiveError,
  MAX_HIVE_BYTES,
  nextSequence,
  readBaseBlock,
  sequenceDistance,
} from './base-block';
import { chain, newestSequence, readLog, type HiveLog } from './log';
import { expectSoundBins } from './structure';

/** The flag that entries of a log carry: the transaction manager has the hive locked. */
const LOCKED = 1;

export interface RecoveredHive {
  /** With all that its logs held, and marked as clean. */
  hive: Buffer;
  /** Log entries that were applied; none where the hive was clean. */
  applied: number;
  /** Whether the logs hold later entries that cannot be reached, as one before them is torn. Windows leaves them out, too. */
  leftOut: boolean;
}

/**
 * Applies a hive's transaction logs, as Windows does when it loads the hive. A hive that was copied while Windows ran
 * has its latest changes in the logs only; a tool that ignores them and marks the hive as clean loses them.
 * @param logs contents of the .LOG1 and .LOG2 files that are there
 * @throws HiveError where the hive is damaged, or is not clean and no log fits it
 */
export function recoverHive(primary: Buffer, logs: Buffer[]): RecoveredHive {
  if (primary.length < 2 * BASE_BLOCK_BYTES) throw new HiveError('it is cut off');
  if (primary.length > BASE_BLOCK_BYTES + MAX_HIVE_BYTES) {
    throw new HiveError(`it is larger than ${MAX_HIVE_BYTES} bytes, which is not believed`);
  }
  const base = readBaseBlock(primary);
  if (base?.checksumRight && base.primarySequence === base.secondarySequence) {
    expectSoundBins(primary);
    return { hive: primary, applied: 0, leftOut: false };
  }
  // The one with earlier entries first, if both are to be applied.
  const found = logs
    .map(readLog)
    .filter((log) => log !== undefined)
    .sort((one, other) => sequenceDistance(other.base.primarySequence, one.base.primarySequence));
  const header = base?.checksumRight ? base : undefined;
  const wanted =
    header === undefined
      ? found.slice(-1) // Windows takes the header of the latest log then, and its entries alone.
      : found.filter((log) => sequenceDistance(header.secondarySequence, log.base.primarySequence) >= 0);
  const recovered = new Recovery(primary, header === undefined ? wanted[0] : undefined);
  for (const log of wanted) if (!recovered.apply(log)) break;
  if (recovered.last === undefined) {
    throw new HiveError(
      'it was being written when it was copied, and its logs (.LOG1, .LOG2) hold nothing that completes it',
    );
  }
  return recovered.finish([base?.primarySequence, base?.secondarySequence, ...found.map(newestSequence)]);
}

class Recovery {
  last: number | undefined;
  private applied = 0;
  private hive: Buffer;
  private readonly fileBytes: number;

  constructor(primary: Buffer, headerOf: HiveLog | undefined) {
    this.hive = Buffer.from(primary);
    this.fileBytes = primary.length;
    if (headerOf === undefined) return;
    headerOf.bytes.copy(this.hive, 0, 0, HEADER_BYTES);
    this.hive.writeUInt32LE(FILE_TYPE.primary, AT.fileType);
  }

  /** @returns false where the log does not follow what was applied before */
  apply(log: HiveLog): boolean {
    if (this.last !== undefined && log.base.primarySequence !== nextSequence(this.last)) return false;
    for (const { sequence, flags, binsBytes, pages } of chain(log)) {
      this.grow(BASE_BLOCK_BYTES + binsBytes);
      for (const { offset, content } of pages) content.copy(this.hive, BASE_BLOCK_BYTES + offset);
      this.hive.writeUInt32LE(binsBytes, AT.binsBytes);
      const others = (this.hive.readUInt32LE(AT.flags) & ~LOCKED) >>> 0;
      this.hive.writeUInt32LE((others | (flags & LOCKED)) >>> 0, AT.flags);
      this.last = sequence;
      this.applied++;
    }
    return this.last !== undefined;
  }

  /**
   * The hive as it is after the last entry. Its sequence number lies after every one that its logs hold: they stay in
   * the guest, and Windows must never take an old entry for one that follows.
   */
  finish(known: (number | undefined)[]): RecoveredHive {
    const last = this.last ?? 0;
    const newest = known.reduce<number>(
      (high, one) => (one !== undefined && sequenceDistance(high, one) > 0 ? one : high),
      last,
    );
    // What a file has after its last bin stays; Windows lets hives grow ahead.
    const used = BASE_BLOCK_BYTES + this.hive.readUInt32LE(AT.binsBytes);
    const hive = this.hive.subarray(0, Math.max(used, this.fileBytes));
    hive.writeUInt32LE(nextSequence(newest), AT.primarySequence);
    hive.writeUInt32LE(nextSequence(newest), AT.secondarySequence);
    hive.writeUInt32LE(baseBlockChecksum(hive), AT.checksum);
    expectSoundBins(hive);
    return { hive, applied: this.applied, leftOut: newest !== last && known.slice(2).includes(newest) };
  }

  /** A log may grow the hive entry by entry: twice the size each time, so that it is not copied as often. */
  private grow(bytes: number): void {
    if (bytes <= this.hive.length) return;
    const larger = Buffer.alloc(Math.max(bytes, Math.min(2 * this.hive.length, MAX_HIVE_BYTES)));
    this.hive.copy(larger);
    this.hive = larger;
  }
}
