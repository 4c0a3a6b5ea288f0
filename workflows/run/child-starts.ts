import { patched } from '@temporalio/workflow';

/**
 * Bytes of children's requests that are on their way to the server at once. All that a workflow begins at one time goes in one
 * message, for which the server takes 4 MiB (its limit of gRPC; docs.temporal.io, "Temporal Platform limits") and, above it,
 * terminates the run. The rest is for what else is in the message, and for a codec that makes payloads longer.
 */
const PORTION_BYTES = 1024 * 1024;

/** What a child's start takes beside its request: ids, options, search attributes. */
const START_BYTES = 1024;

// A workflow has these for itself: its modules are its own.
let onTheirWay = 0;
const starting = new Set<Promise<unknown>>();
let queue: Promise<unknown> = Promise.resolve();

/**
 * Starts a child as soon as the starts before it leave room for its request in a message.
 * @returns what `start` returns, which must come when the server has the start
 */
export async function inPortions<T>(request: unknown, start: () => Promise<T>): Promise<T> {
  const bytes = START_BYTES + new TextEncoder().encode(JSON.stringify(request)).length;
  const turn = queue.then(() => untilRoomFor(bytes));
  queue = turn;
  await turn;
  const started = start();
  starting.add(started);
  try {
    return await started;
  } finally {
    starting.delete(started);
    onTheirWay -= bytes;
  }
}

async function untilRoomFor(bytes: number): Promise<void> {
  while (starting.size > 0 && onTheirWay + bytes > PORTION_BYTES && patched('portions'))
    await Promise.race([...starting].map((one) => one.catch(() => undefined)));
  onTheirWay += bytes;
}
