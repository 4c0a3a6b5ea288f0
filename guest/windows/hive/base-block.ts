/**
 * The header of a registry hive and of its transaction logs. Layouts in this directory are those of M. Suhanov's
 * "Windows registry file format specification"; numbers are little-endian. All of it is a guest's: every length and offset is
 * checked before it is used.
 */

/** Header of a primary file; hive bins follow it, and offsets in them count from there. */
export const BASE_BLOCK_BYTES = 4096;
/** What the checksum covers, and what a transaction log keeps of the header. */
export const HEADER_BYTES = 512;
/** Bins, and the growth of a hive, are multiples of this. */
export const BIN_ALIGNMENT = 4096;
/**
 * Largest hive and largest log that are taken: they are held in memory. SYSTEM has some 10 to 40 MiB, SOFTWARE up to
 * some 150 MiB; a log has at most what the hive has.
 */
export const MAX_HIVE_BYTES = 256 * 1024 * 1024;

/** `File type` of the base block. */
export const FILE_TYPE = { primary: 0, oldLog: 1, log: 6 } as const;

export const AT = {
  primarySequence: 4,
  secondarySequence: 8,
  majorVersion: 20,
  minorVersion: 24,
  fileType: 28,
  rootCell: 36,
  binsBytes: 40,
  flags: 144,
  checksum: 508,
} as const;

/** A registry hive that is damaged, or of a kind that is not understood. */
export class HiveError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HiveError';
  }
}

export interface BaseBlock {
  primarySequence: number;
  secondarySequence: number;
  majorVersion: number;
  minorVersion: number;
  fileType: number;
  /** Offset of the root key's cell. */
  rootCell: number;
  /** Size of all hive bins. */
  binsBytes: number;
  flags: number;
  checksumRight: boolean;
}

/** @returns undefined where the bytes are too few or do not begin as a hive does */
export function readBaseBlock(bytes: Buffer): BaseBlock | undefined {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, 4) !== 'regf') return undefined;
  return {
    primarySequence: bytes.readUInt32LE(AT.primarySequence),
    secondarySequence: bytes.readUInt32LE(AT.secondarySequence),
    majorVersion: bytes.readUInt32LE(AT.majorVersion),
    minorVersion: bytes.readUInt32LE(AT.minorVersion),
    fileType: bytes.readUInt32LE(AT.fileType),
    rootCell: bytes.readUInt32LE(AT.rootCell),
    binsBytes: bytes.readUInt32LE(AT.binsBytes),
    flags: bytes.readUInt32LE(AT.flags),
    checksumRight: bytes.readUInt32LE(AT.checksum) === baseBlockChecksum(bytes),
  };
}

/** XOR of all words before the checksum itself; 0 and -1 are avoided. */
export function baseBlockChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < AT.checksum; at += 4) sum ^= bytes.readInt32LE(at);
  if (sum === -1) return 0xfffffffe;
  return sum === 0 ? 1 : sum >>> 0;
}

/** How far one sequence number is after another; they are 32 bits wide and may overflow. Negative: before it. */
export function sequenceDistance(from: number, to: number): number {
  return (to - from) | 0;
}

export function nextSequence(sequence: number): number {
  return (sequence + 1) >>> 0;
}
