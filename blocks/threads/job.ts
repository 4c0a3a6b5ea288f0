/** What a thread is asked to do with a block of the shared memory. Offsets are in bytes. */
export type ThreadJob =
  /** SHA-256 of the block at `at`. */
  | { id: number; kind: 'hash'; at: number }
  /** Fills the block at `at` with what is stored at `from` of the other shared memory, then its SHA-256. */
  | {
      id: number;
      kind: 'decode';
      at: number;
      from: number;
      length: number;
      encoding: 'raw' | 'zstd';
    };

export interface ThreadReply {
  id: number;
  /** 32 bytes. */
  sha256?: Uint8Array;
  /** What is wrong with stored bytes that cannot be made into a block, in words. */
  damaged?: string;
  /** A failure of the thread itself. */
  error?: string;
}
