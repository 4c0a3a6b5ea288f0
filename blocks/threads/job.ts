/**
 * The messages between blocks/threads/pool.ts and its threads: a flat array of numbers, JOB_NUMBERS for each job,
 * since a message of objects costs several times as much to pass. Offsets are in bytes.
 */

/** What a thread is asked to do with a block of the shared memory. */
export const JOB_KINDS = {
  /** SHA-256 of the block that is there. */
  hash: 0,
  /** Copies a block that is stored as it is, then its SHA-256. `from` and `length`: where it is stored. */
  decodeRaw: 1,
  /** Decompresses a stored block, then its SHA-256. `from` and `length`: where it is stored. */
  decodeZstd: 2,
  /**
   * Reads the block from an open file, pads it with zeros, then its SHA-256. `from`: position in the file; `length`:
   * bytes that the file has of the block; `fd`.
   */
  read: 3,
  /** As decodeRaw and decodeZstd, without a SHA-256: for bytes whose reader verifies them. */
  placeRaw: 4,
  placeZstd: 5,
} as const;

/** Numbers of a job, in this order: id, kind, place of the block (pieces of the memory), from, length, fd. */
export const JOB_NUMBERS = 6;

/**
 * The answer to a message: a number for each job, in the order of the jobs. 0: the SHA-256 of the block is in the shared
 * digests, at the block's place. 1: the block was read and is all zeros. 2: the block is there, without a SHA-256.
 * Otherwise what is wrong.
 */
export type JobOutcome = 0 | 1 | 2 | JobFailure;

export interface JobFailure {
  /** Whether it is the bytes' fault: they cannot be made into a block. */
  damaged: boolean;
  message: string;
  code?: string;
}

/** What a thread is started with. */
export interface ThreadData {
  blocks: SharedArrayBuffer;
  stored: SharedArrayBuffer;
  /** 32 bytes for each block of the block memory. */
  digests: SharedArrayBuffer;
  blockBytes: number;
  /** Bytes before the first block of the block memory. */
  blocksOffset: number;
}
