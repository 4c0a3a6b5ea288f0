// One thread of blocks/threads/pool.ts: what of a block copy costs CPU and touches no network. Plain JavaScript, since
// it is loaded by its path, compiled or not.
import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { directly, documented } from './zstd.mjs';

/** @typedef {import('./job.js').JobOutcome} JobOutcome */

// The numbers of job.ts, which a thread that is run uncompiled cannot load; a test holds them together.
export const KINDS = { hash: 0, decodeRaw: 1, decodeZstd: 2, read: 3, placeRaw: 4, placeZstd: 5 };
export const NUMBERS = 6;
const DIGEST_BYTES = 32;

/** Bytes that cannot be made into a block. */
class Damaged extends Error {}

/**
 * @param {import('./job.js').ThreadData} data
 * @returns {(jobs: number[]) => JobOutcome[]}
 */
export function performer({ blocks, stored, digests, blockBytes, blocksOffset }) {
  const plain = Buffer.from(blocks);
  const packed = Buffer.from(stored);
  const sums = Buffer.from(digests);
  const zeros = Buffer.alloc(blockBytes);

  /** @type {import('./zstd.mjs').Decompress | undefined} */
  let zstd;

  /** @param {Buffer} block @param {Buffer} bytes */
  function decompress(block, bytes) {
    zstd ??= directly() ?? documented();
    try {
      zstd(block, bytes);
    } catch (error) {
      throw new Damaged(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {Buffer} block @param {number} fd @param {number} position @param {number} length */
  function read(block, fd, position, length) {
    for (let filled = 0; filled < length;) {
      const bytes = readSync(fd, block, filled, length - filled, position + filled);
      if (bytes === 0)
        throw new Damaged(`the file ends at ${position + filled}; ${length - filled} bytes are missing`);
      filled += bytes;
    }
    if (length < blockBytes) block.fill(0, length);
  }

  /**
   * @param {number[]} jobs @param {number} at
   * @returns {JobOutcome}
   */
  function perform(jobs, at) {
    const [kind = -1, place = 0, from = 0, length = 0, fd = -1] = jobs.slice(at + 1, at + NUMBERS);
    const start = blocksOffset + place * blockBytes;
    const block = plain.subarray(start, start + blockBytes);
    const hashed = kind !== KINDS.placeRaw && kind !== KINDS.placeZstd;
    if (kind === KINDS.decodeRaw || kind === KINDS.placeRaw) {
      if (length !== blockBytes) throw new Damaged(`it has ${length} bytes`);
      block.fill(packed.subarray(from, from + length));
    } else if (kind === KINDS.decodeZstd || kind === KINDS.placeZstd)
      decompress(block, packed.subarray(from, from + length));
    else if (kind === KINDS.read) {
      read(block, fd, from, length);
      if (block.equals(zeros)) return 1;
    }
    if (!hashed) return 2;
    sums.write(hash('sha256', block, 'binary'), place * DIGEST_BYTES, 'latin1');
    return 0;
  }

  return (jobs) => {
    /** @type {JobOutcome[]} */
    const outcomes = [];
    for (let at = 0; at < jobs.length; at += NUMBERS)
      try {
        outcomes.push(perform(jobs, at));
      } catch (error) {
        const { message, code } = /** @type {Error & { code?: string }} */ (error);
        outcomes.push({ damaged: error instanceof Damaged, message, code });
      }
    return outcomes;
  };
}

if (parentPort !== null) {
  const port = parentPort;
  const perform = performer(/** @type {import('./job.js').ThreadData} */ (workerData));
  port.on('message', (/** @type {number[]} */ jobs) => port.postMessage(perform(jobs)));
}
