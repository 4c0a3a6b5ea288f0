import { setTimeout as sleep } from 'node:timers/promises';

/** How a hot loop repeats a call by itself, where a Temporal retry would start the whole copy anew. */
export interface Backoff {
  /** Calls in all, the first included. */
  attempts: number;
  /** Longest wait before the second call, in milliseconds; doubles from call to call. */
  baseMs: number;
  /** No wait is longer than this. */
  capMs: number;
}

/**
 * Calls until it succeeds, fails in a way that repeating cannot mend, or the attempts are used up. Waits a random
 * time up to an exponentially growing bound ("full jitter"), so that many calls that were throttled together do not
 * come back together.
 */
export async function withBackoff<T>(
  backoff: Backoff,
  signal: AbortSignal,
  isTransient: (error: unknown) => boolean,
  call: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= backoff.attempts || !isTransient(error)) throw error;
      const bound = Math.min(backoff.capMs, backoff.baseMs * 2 ** (attempt - 1));
      try {
        await sleep(Math.random() * bound, undefined, { signal });
      } catch {
        // The only way for a wait to fail is the signal, whose reason says more than the wait's own error.
        signal.throwIfAborted();
      }
    }
  }
}
