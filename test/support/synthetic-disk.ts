import { createCipheriv, hash } from 'node:crypto';
import { BLOCK_SIZE, type BlockSource } from '../../blocks/port';
import { isZero } from '../../blocks/zero';

/** How a block of a synthetic disk is filled. */
export type Pattern = 'zero' | { random: string } | { text: string };

/** BLOCK_SIZE bytes of the pattern: the same for the same pattern, in every process. */
export function patternBlock(pattern: Pattern): Buffer {
  if (pattern === 'zero') return Buffer.alloc(BLOCK_SIZE);
  if ('text' in pattern) return Buffer.alloc(BLOCK_SIZE, pattern.text);
  // A stream cipher over zeros: as incompressible as random bytes, repeatable, and quick.
  const cipher = createCipheriv('aes-256-ctr', hash('sha256', pattern.random, 'buffer'), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(BLOCK_SIZE));
}

/** The bytes of a disk, cut at its exact size. */
export function patternDisk(patterns: readonly Pattern[], sizeBytes = patterns.length * BLOCK_SIZE): Buffer {
  return Buffer.concat(patterns.map(patternBlock)).subarray(0, sizeBytes);
}

/** A disk in memory as a source of blocks. */
export function memorySource(disk: Buffer): BlockSource & { reads: number[] } {
  const reads: number[] = [];
  return {
    reads,
    async read(index, into) {
      reads.push(index);
      into.fill(0);
      disk.copy(into, 0, index * BLOCK_SIZE, (index + 1) * BLOCK_SIZE);
      return !isZero(into);
    },
    close: () => Promise.resolve(),
  };
}
