/**
 * Runs `work` on every item, at most `concurrency` at once, pulling the next item only when there is room, so that
 * memory stays bounded whatever the number of items. Every item that is pulled is worked on. Stops pulling at the first
 * failure or at the signal, waits until what had begun has ended, then throws.
 */
export async function forEachBounded<T>(
  items: Iterable<T> | AsyncIterable<T>,
  concurrency: number | (() => number),
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let running = 0;
  let failure: { error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const most = typeof concurrency === 'number' ? () => concurrency : concurrency;
  const anEnd = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const start = (item: T): void => {
    running++;
    work(item)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        running--;
        wake?.();
      });
  };
  const failed = (): boolean => failure !== undefined;
  try {
    for await (const item of items) {
      // Also where the signal came meanwhile: an item may hold memory, which its work gives back.
      start(item);
      signal.throwIfAborted();
      // A full pipeline waits for any one to end; others may end meanwhile.
      while (running >= most() && !failed()) await anEnd();
      if (failed()) break;
    }
  } finally {
    while (running > 0) await anEnd();
  }
  if (failure !== undefined) throw (failure as { error: unknown }).error;
  signal.throwIfAborted();
}

/**
 * Maps items in order with up to `ahead` mappings under way: a read-ahead. When the consumer stops early, what is
 * under way is waited for, and `discard` is given what nobody will take.
 */
export async function* mapAhead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  ahead: number,
  map: (item: T) => Promise<R>,
  discard: (mapped: R) => void = () => {},
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
    // Each at once, not when all are there: a later one may be waiting for the memory of an earlier one.
    await Promise.all(queue.map((mapped) => mapped.then(discard, () => undefined)));
  }
}
