import { createHash, hash } from 'node:crypto';

/** 512 KiB: BlockSize of the EBS direct APIs. */
export const BLOCK_SIZE = 512 * 1024;

/** EBS sizes are whole GiB. */
export const BLOCKS_PER_GIB = (1024 * 1024 * 1024) / BLOCK_SIZE;

export const DIGEST_LENGTH = 32;

const ZERO_BLOCK = Buffer.alloc(BLOCK_SIZE);

/** SHA-256 of a block of zeros. */
export const ZERO_DIGEST: Buffer = createHash('sha256').update(ZERO_BLOCK).digest();

/** Whether a buffer of at most BLOCK_SIZE bytes holds nothing but zeros. */
export function isZero(bytes: Buffer): boolean {
  // memcmp leaves at the first byte that differs, so data blocks cost next to nothing.
  return bytes.compare(ZERO_BLOCK, 0, bytes.length) === 0;
}

export function blockDigest(block: Buffer): Buffer {
  return isZero(block) ? ZERO_DIGEST : hash('sha256', block, 'buffer');
}
