// One thread of blocks/threads/pool.ts: what of a block copy costs CPU and touches no network. Plain JavaScript, since
// it is loaded by its path, compiled or not.
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';

/** @typedef {import('./job.js').ThreadJob} ThreadJob */
/** @typedef {import('./job.js').ThreadReply} ThreadReply */

const { blocks, stored, blockBytes } =
  /** @type {{ blocks: SharedArrayBuffer, stored: SharedArrayBuffer, blockBytes: number }} */ (workerData);
const plain = Buffer.from(blocks);
const packed = Buffer.from(stored);
if (parentPort === null) throw new Error('worker.mjs runs as a thread only');
const port = parentPort;

/**
 * Fills the job's block out of what is stored.
 * @param {Extract<ThreadJob, { kind: 'decode' }>} job
 * @returns {string | undefined} what is wrong with the stored bytes
 */
function decode({ from, length, encoding, at }) {
  const bytes = packed.subarray(from, from + length);
  if (encoding === 'raw') {
    bytes.copy(plain, at);
    return length === blockBytes ? undefined : `it has ${length} bytes`;
  }
  let block;
  try {
    // A few hostile bytes may claim to be terabytes; nothing longer than a block is made of them. The size of the
    // output is given, so that zstd decompresses in one pass, straight into it.
    block = zstdDecompressSync(bytes, { chunkSize: blockBytes, maxOutputLength: blockBytes });
  } catch (error) {
    return `it cannot be decompressed (${error instanceof Error ? error.message : String(error)})`;
  }
  if (block.length !== blockBytes) return `it has ${block.length} bytes`;
  block.copy(plain, at);
  return undefined;
}

port.on('message', (/** @type {ThreadJob} */ job) => {
  /** @type {ThreadReply} */
  const reply = { id: job.id };
  try {
    if (job.kind === 'decode') reply.damaged = decode(job);
    if (reply.damaged === undefined)
      reply.sha256 = hash('sha256', plain.subarray(job.at, job.at + blockBytes), 'buffer');
  } catch (error) {
    reply.error = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  port.postMessage(reply);
});
