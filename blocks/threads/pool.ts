import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { blockMemory, storedMemory } from '../memory';
import { BLOCK_SIZE } from '../port';
import { type ThreadJob, type ThreadReply } from './job';

/**
 * Threads that hash and decompress blocks, so that the event loop has the network to itself. They work on the shared
 * memory of blocks/memory.ts: a job is a few numbers, and no block is copied to or from a thread.
 */

/** The account's 1,000 blocks a second take about one core to decompress and hash; more threads would only idle. */
const MOST_THREADS = 4;
/** Jobs given to a thread before it has answered: the next is there when one ends, and none waits long behind others. */
const JOBS_AHEAD = 2;

/** What is stored cannot be made into a block; the message says why, and the caller knows which block it is. */
export class UndecodableError extends Error {}

type Distribute<J> = J extends unknown ? Omit<J, 'id'> : never;

interface Waiting {
  job: ThreadJob;
  resolve(sha256: Buffer): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  underWay: Map<number, Waiting>;
}

const threads: Thread[] = [];
const queue: Waiting[] = [];
let lastId = 0;

/** SHA-256 of a block. */
export function sha256Of(block: Buffer): Promise<Buffer> {
  // A block from elsewhere (a caller that copies no disks) is hashed here: moving it would cost as much.
  if (!blockMemory.holds(block) || block.length !== BLOCK_SIZE)
    return Promise.resolve(hash('sha256', block, 'buffer'));
  return run({ kind: 'hash', at: block.byteOffset });
}

/**
 * Fills `into`, a piece of the block memory, with a block that is stored in `stored`, a part of the stored memory.
 * @returns the block's SHA-256
 * @throws UndecodableError
 */
export function decodeInto(into: Buffer, stored: Buffer, encoding: 'raw' | 'zstd'): Promise<Buffer> {
  if (!blockMemory.holds(into) || !storedMemory.holds(stored))
    throw new TypeError('Threads decode in shared memory only.');
  return run({
    kind: 'decode',
    at: into.byteOffset,
    from: stored.byteOffset,
    length: stored.length,
    encoding,
  });
}

function run(job: Distribute<ThreadJob>): Promise<Buffer> {
  if (threads.length === 0) startThreads();
  return new Promise((resolve, reject) => {
    queue.push({ job: { ...job, id: ++lastId }, resolve, reject });
    dispatch();
  });
}

/** Gives what waits to the threads with the least to do. */
function dispatch(): void {
  while (queue.length > 0) {
    const [idlest] = [...threads].sort((a, b) => a.underWay.size - b.underWay.size);
    if (idlest === undefined || idlest.underWay.size >= JOBS_AHEAD) return;
    const waiting = queue.shift()!;
    // A thread at work keeps the process alive, an idle one does not.
    if (idlest.underWay.size === 0) idlest.worker.ref();
    idlest.underWay.set(waiting.job.id, waiting);
    idlest.worker.postMessage(waiting.job);
  }
}

function startThreads(): void {
  const count = Math.min(MOST_THREADS, availableParallelism());
  for (let n = 0; n < count; n++) threads.push(startThread());
}

function startThread(): Thread {
  const worker = new Worker(join(__dirname, 'worker.mjs'), {
    workerData: { blocks: blockMemory.shared, stored: storedMemory.shared, blockBytes: BLOCK_SIZE },
    // Inspector flags and loaders of the main thread are none of its business.
    execArgv: [],
    name: 'lifeboat-blocks',
  });
  const thread: Thread = { worker, underWay: new Map() };
  worker.unref();
  worker.on('message', (reply: ThreadReply) => {
    const waiting = thread.underWay.get(reply.id);
    thread.underWay.delete(reply.id);
    if (thread.underWay.size === 0) worker.unref();
    dispatch();
    if (waiting === undefined) return;
    if (reply.damaged !== undefined) waiting.reject(new UndecodableError(reply.damaged));
    else if (reply.sha256 !== undefined) waiting.resolve(Buffer.from(reply.sha256));
    else waiting.reject(new Error(reply.error ?? 'A thread gave no answer.'));
  });
  // Out of memory, say: its jobs fail, and are done again by a thread in its stead when they are asked for again.
  worker.on('error', (error) => endThread(thread, error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => endThread(thread, new Error('A thread of the block copies ended.')));
  return thread;
}

function endThread(thread: Thread, error: Error): void {
  const at = threads.indexOf(thread);
  if (at < 0) return;
  threads[at] = startThread();
  for (const { reject } of thread.underWay.values()) reject(error);
  dispatch();
}
