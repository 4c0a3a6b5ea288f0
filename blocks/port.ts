/** 512 KiB, the block of the EBS direct APIs (BlockSize of StartSnapshot), used for every disk everywhere. */
export const BLOCK_SIZE = 512 * 1024;

/** Blocks of a disk: from `from` up to, and without, `to`. */
export interface BlockRange {
  from: number;
  to: number;
}

/**
 * A disk to read blocks from. Blocks are numbered from 0; all have BLOCK_SIZE bytes, and the last one is padded
 * with zeros where the disk's size is no multiple of it.
 */
export interface BlockSource {
  /**
   * Fills `into` (BLOCK_SIZE bytes) with the block.
   * @returns false where the block is known to be all zeros, in which case `into` holds zeros
   */
  read(index: number, into: Buffer): Promise<boolean>;
  close(): Promise<void>;
}

/** A disk to write blocks to. Writing one block twice with the same bytes is harmless. */
export interface BlockSink {
  /** `sha256` is the digest of `block`, computed once a block and used for all that needs it. */
  write(index: number, block: Buffer, sha256: Buffer): Promise<void>;
  /**
   * Makes many blocks zero with few requests, whatever they held; as good as writing zeros to each. Absent where there
   * is no such request. The longer the range, the better.
   */
  zero?(index: number, count: number): Promise<void>;
  /** Makes everything written durable. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
