// One thread of blocks/threads/pool.ts: what of a block copy costs CPU and touches no network. Plain JavaScript, since
// it is loaded by its path, compiled or not.
import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';

/** @typedef {import('./job.js').JobOutcome} JobOutcome */

// The numbers of job.ts, which a thread that is run uncompiled cannot load; a test holds them together.
export const KINDS = { hash: 0, decodeRaw: 1, decodeZstd: 2, read: 3, placeRaw: 4, placeZstd: 5 };
export const NUMBERS = 6;
const DIGEST_BYTES = 32;
/** Blocks between two collections of what decompressing them has left: 8 MiB. */
const COLLECT_AFTER = 16;

/**
 * Collects young garbage. The threads make next to no objects, so that V8 sees no need to, while each block that was
 * decompressed holds on to 512 KiB outside of its heap.
 */
setFlagsFromString('--expose-gc');
const collect = /** @type {(options: { type: 'minor' }) => void} */ (runInNewContext('gc'));

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

  let decompressed = 0;

  /** @param {Buffer} block @param {Buffer} bytes */
  function decompress(block, bytes) {
    if (++decompressed % COLLECT_AFTER === 0) collect({ type: 'minor' });
    let made;
    try {
      // A few hostile bytes may claim to be terabytes; nothing longer than a block is made of them. There is room for all
      // of the output, so that zstd decompresses in one pass, and some more: a full buffer makes zlib get another one.
      made = zstdDecompressSync(bytes, { chunkSize: blockBytes + 64, maxOutputLength: blockBytes });
    } catch (error) {
      throw new Damaged(
        `it cannot be decompressed (${error instanceof Error ? error.message : String(error)})`,
      );
    }
    if (made.length !== blockBytes) throw new Damaged(`it has ${made.length} bytes`);
    // Not copy(): into shared memory, that goes byte by byte wherever the two are not aligned alike.
    block.fill(made);
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
