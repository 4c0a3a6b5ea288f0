import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { blockMemory, storedMemory } from '../memory';
import { BLOCK_SIZE } from '../port';
import { JOB_KINDS, type JobOutcome, type ThreadData } from './job';

/**
 * Threads that hash and decompress blocks, so that the event loop has the network to itself. They work on the shared
 * memory of blocks/memory.ts: a job is a few numbers, and no block is copied to or from a thread.
 */

/** The account's 1,000 blocks a second take about one core to decompress and hash; more threads would only idle. */
const MOST_THREADS = 4;
/** Jobs given to a thread together, while others wait: a message to a thread and back costs as much as a tenth of a job. */
const JOBS_TOGETHER = 4;
/** Messages to a thread before it has answered: the next is there when one ends, and none waits long behind others. */
const MESSAGES_AHEAD = 2;
const DIGEST_BYTES = 32;

/** What is stored, or lies in a file, cannot be made into a block; the caller knows which block it is. */
export class UndecodableError extends Error {}

interface Job {
  id: number;
  kind: keyof typeof JOB_KINDS;
  /** Place of the block in the block memory. */
  place: number;
  from: number;
  length: number;
  fd: number;
  resolve(sha256: Buffer | undefined): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  /** What the thread has been given and has not answered, a message each. */
  underWay: Job[][];
}

const digests = Buffer.from(new SharedArrayBuffer(blockMemory.pieces * DIGEST_BYTES));
const threads: Thread[] = [];
let queue: Job[] = [];
let lastId = 0;

/** SHA-256 of a block. */
export function sha256Of(block: Buffer): Promise<Buffer> {
  // A block from elsewhere (a caller that copies no disks) is hashed here: moving it would cost as much.
  if (!blockMemory.holds(block) || block.length !== BLOCK_SIZE)
    return Promise.resolve(hash('sha256', block, 'buffer'));
  return run('hash', block) as Promise<Buffer>;
}

/**
 * Fills `into`, a piece of the block memory, with `length` bytes of an open file, and zeros after them.
 * @returns the block's SHA-256; undefined where it is all zeros
 * @throws UndecodableError where the file ends before
 */
export function readInto(
  into: Buffer,
  file: { fd: number; position: number; length: number },
): Promise<Buffer | undefined> {
  if (!blockMemory.holds(into)) throw new TypeError('Threads read into shared memory only.');
  return run('read', into, file.position, file.length, file.fd);
}

/**
 * Fills `into`, a piece of the block memory, with a block that is stored in `stored`, a part of the stored memory.
 * @returns the block's SHA-256
 * @throws UndecodableError
 */
export function decodeInto(into: Buffer, stored: Buffer, encoding: 'raw' | 'zstd'): Promise<Buffer> {
  return decode(encoding === 'raw' ? 'decodeRaw' : 'decodeZstd', into, stored) as Promise<Buffer>;
}

/**
 * As {@link decodeInto}, without verifying anything: for a target that does.
 * @throws UndecodableError
 */
export async function placeInto(into: Buffer, stored: Buffer, encoding: 'raw' | 'zstd'): Promise<void> {
  await decode(encoding === 'raw' ? 'placeRaw' : 'placeZstd', into, stored);
}

function decode(kind: Job['kind'], into: Buffer, stored: Buffer): Promise<Buffer | undefined> {
  if (!blockMemory.holds(into) || !storedMemory.holds(stored))
    throw new TypeError('Threads decode in shared memory only.');
  return run(kind, into, stored.byteOffset, stored.length);
}

function run(kind: Job['kind'], block: Buffer, from = 0, length = 0, fd = -1): Promise<Buffer | undefined> {
  if (threads.length === 0) startThreads();
  return new Promise((resolve, reject) => {
    queue.push({ id: ++lastId, kind, place: blockMemory.placeOf(block), from, length, fd, resolve, reject });
    dispatch();
  });
}

/** Gives what waits to the threads with the least to do. */
function dispatch(): void {
  while (queue.length > 0) {
    const idlest = threads.reduce((least, thread) =>
      thread.underWay.length < least.underWay.length ? thread : least,
    );
    if (idlest.underWay.length >= MESSAGES_AHEAD) return;
    // A thread at work keeps the process alive, an idle one does not.
    if (idlest.underWay.length === 0) idlest.worker.ref();
    const together = queue.length <= JOBS_TOGETHER ? queue : queue.slice(0, JOBS_TOGETHER);
    queue = queue.slice(together.length);
    idlest.underWay.push(together);
    const message: number[] = [];
    for (const { id, kind, place, from, length, fd } of together)
      message.push(id, JOB_KINDS[kind], place, from, length, fd);
    idlest.worker.postMessage(message);
  }
}

function startThreads(): void {
  const count = Math.min(MOST_THREADS, availableParallelism());
  for (let n = 0; n < count; n++) threads.push(startThread());
}

function startThread(): Thread {
  const workerData: ThreadData = {
    blocks: blockMemory.shared,
    stored: storedMemory.shared,
    digests: digests.buffer as SharedArrayBuffer,
    blockBytes: BLOCK_SIZE,
    blocksOffset: blockMemory.offset,
  };
  const worker = new Worker(join(__dirname, 'worker.mjs'), {
    workerData,
    // Inspector flags and loaders of the main thread are none of its business.
    execArgv: [],
    name: 'lifeboat-blocks',
  });
  const thread: Thread = { worker, underWay: [] };
  // A thread answers messages in the order in which it gets them.
  worker.on('message', (outcomes: JobOutcome[]) => {
    const answered = thread.underWay.shift() ?? [];
    if (thread.underWay.length === 0) worker.unref();
    dispatch();
    answered.forEach((job, n) => settle(job, outcomes[n]));
  });
  // Out of memory, say: its jobs fail, and are done again by a thread in its stead when they are asked for again.
  worker.on('error', (error) => endThread(thread, error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => endThread(thread, new Error('A thread of the block copies ended.')));
  // Last: Node lets a listener of messages keep the process alive again, also that of a thread that never gets a job.
  worker.unref();
  return thread;
}

function settle(job: Job, outcome: JobOutcome | undefined): void {
  if (outcome === 0) {
    // Copied: the place is used again as soon as the block is released.
    const start = job.place * DIGEST_BYTES;
    job.resolve(Buffer.from(digests.subarray(start, start + DIGEST_BYTES)));
  } else if (outcome === 1 || outcome === 2) job.resolve(undefined);
  else if (outcome === undefined) job.reject(new Error('A thread gave no answer.'));
  else if (outcome.damaged) job.reject(new UndecodableError(outcome.message));
  else job.reject(Object.assign(new Error(outcome.message), { code: outcome.code }));
}

function endThread(thread: Thread, error: Error): void {
  const at = threads.indexOf(thread);
  if (at < 0) return;
  threads[at] = startThread();
  for (const { reject } of thread.underWay.flat()) reject(error);
  dispatch();
}
