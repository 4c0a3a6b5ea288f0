import {
  BIN_ALIGNMENT,
  FILE_TYPE,
  HEADER_BYTES,
  HiveError,
  MAX_HIVE_BYTES,
  nextSequence,
  readBaseBlock,
  sequenceDistance,
  type BaseBlock,
} from './base-block';
import { marvin32 } from './marvin32';

/** Entries and the pages in them are whole sectors of this size, whatever the disk's are. */
const SECTOR = 512;
const ENTRY_HEADER_BYTES = 40;
const PAGE_REFERENCE_BYTES = 8;
const HASHED_HEADER_BYTES = 32;

/** A transaction log of Windows 8.1 and later. */
export interface HiveLog {
  base: BaseBlock;
  bytes: Buffer;
}

export interface LogEntry {
  sequence: number;
  flags: number;
  /** Size of the hive's bins once the entry is applied. */
  binsBytes: number;
  pages: { offset: number; content: Buffer }[];
  /** Where the next entry begins. */
  end: number;
}

/**
 * @returns undefined where there is no log in the file: empty, or with a header that was not written to its end
 * @throws HiveError where the log is of the format before Windows 8.1, which is not replayed
 */
export function readLog(bytes: Buffer): HiveLog | undefined {
  const base = readBaseBlock(bytes);
  if (base === undefined || !base.checksumRight) return undefined;
  if (base.fileType === FILE_TYPE.oldLog) {
    throw new HiveError('its log is in the format of Windows before 8.1 and Server 2012 R2 (dirty vector)');
  }
  if (base.fileType !== FILE_TYPE.log || base.primarySequence !== base.secondarySequence) return undefined;
  return { base, bytes };
}

/** The entries from the log's start on, each following the one before; ends at the first that is none or is torn. */
export function* chain(log: HiveLog): Generator<LogEntry> {
  let at = HEADER_BYTES;
  for (let expected = log.base.primarySequence; ; expected = nextSequence(expected)) {
    const entry = entryAt(log.bytes, at);
    if (entry === undefined || entry.sequence !== expected) return;
    yield entry;
    at = entry.end;
  }
}

/** The highest sequence number that any entry with a whole header has, reachable or not. */
export function newestSequence(log: HiveLog): number | undefined {
  let newest: number | undefined;
  for (let at = HEADER_BYTES; at + ENTRY_HEADER_BYTES <= log.bytes.length; at += SECTOR) {
    if (!isEntryHeader(log.bytes, at)) continue;
    const sequence = log.bytes.readUInt32LE(at + 12);
    if (newest === undefined || sequenceDistance(newest, sequence) > 0) newest = sequence;
  }
  return newest;
}

/**
 * @returns undefined where the entry's hashes do not match: torn, or none
 * @throws HiveError where they do, and what it says is impossible
 */
function entryAt(log: Buffer, at: number): LogEntry | undefined {
  if (!isEntryHeader(log, at)) return undefined;
  const size = log.readUInt32LE(at + 4);
  const binsBytes = log.readUInt32LE(at + 16);
  const count = log.readUInt32LE(at + 20);
  if (size < SECTOR || size % SECTOR !== 0 || at + size > log.length) return undefined;
  const entry = log.subarray(at, at + size);
  if (marvin32(entry.subarray(ENTRY_HEADER_BYTES)) !== entry.readBigUInt64LE(24)) return undefined;
  // Windows stops at an entry with a wrong size of the bins, as at a torn one.
  if (binsBytes === 0 || binsBytes % BIN_ALIGNMENT !== 0 || count === 0) return undefined;
  if (binsBytes > MAX_HIVE_BYTES) throw new HiveError('its log makes it larger than is believed');
  return {
    sequence: entry.readUInt32LE(12),
    flags: entry.readUInt32LE(8),
    binsBytes,
    pages: readPages(entry, count, binsBytes),
    end: at + size,
  };
}

function readPages(entry: Buffer, count: number, binsBytes: number): LogEntry['pages'] {
  let content = ENTRY_HEADER_BYTES + count * PAGE_REFERENCE_BYTES;
  if (content > entry.length) throw new HiveError('its log has an entry with more pages than it holds');
  const pages: LogEntry['pages'] = [];
  for (let index = 0; index < count; index++) {
    const offset = entry.readUInt32LE(ENTRY_HEADER_BYTES + index * PAGE_REFERENCE_BYTES);
    const size = entry.readUInt32LE(ENTRY_HEADER_BYTES + index * PAGE_REFERENCE_BYTES + 4);
    if (size === 0 || offset + size > binsBytes || content + size > entry.length) {
      throw new HiveError('its log has a page that lies outside of the hive');
    }
    pages.push({ offset, content: entry.subarray(content, content + size) });
    content += size;
  }
  return pages;
}

function isEntryHeader(log: Buffer, at: number): boolean {
  return (
    at + ENTRY_HEADER_BYTES <= log.length &&
    log.toString('latin1', at, at + 4) === 'HvLE' &&
    marvin32(log.subarray(at, at + HASHED_HEADER_BYTES)) === log.readBigUInt64LE(at + HASHED_HEADER_BYTES)
  );
}
