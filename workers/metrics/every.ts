import { setTimeout as sleep } from 'node:timers/promises';

/** Does something again and again, with a pause between, until the signal comes. */
export async function every(
  seconds: number,
  signal: AbortSignal,
  work: () => Promise<void> | void,
): Promise<void> {
  while (!signal.aborted) {
    await work();
    try {
      await sleep(seconds * 1000, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
