/**
 * Runs `work` on every item, at most `concurrency` at once, pulling the next item only when there is room, so that
 * memory stays bounded whatever the number of items. Stops pulling at the first failure or at the signal, waits until
 * what had begun has ended, then throws.
 */
export async function forEachBounded<T>(
  items: Iterable<T> | AsyncIterable<T>,
  concurrency: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  try {
    for await (const item of items) {
      signal.throwIfAborted();
      const task = work(item)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(task));
      running.add(task);
      // A full pipeline waits for any one to end; others may end meanwhile.
      while (running.size >= concurrency && failure === undefined) await Promise.race(running);
      if (failure !== undefined) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure.error;
  signal.throwIfAborted();
}

/**
 * Maps items in order with up to `ahead` mappings under way: a read-ahead. When the consumer stops early, what is
 * under way is waited for, its outcome dropped.
 */
export async function* mapAhead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  ahead: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const queue: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const mapped = map(item);
      // Its rejection is thrown where it is taken from the queue; until then it must not count as unhandled.
      mapped.catch(() => undefined);
      queue.push(mapped);
      if (queue.length >= ahead) yield await queue.shift()!;
    }
    while (queue.length > 0) yield await queue.shift()!;
  } finally {
    await Promise.allSettled(queue);
  }
}
