import { setTimeout as sleep } from 'node:timers/promises';

/** What the suite itself asks meets the faults and kills that it makes; so it asks again. */
const PATIENCE_MS = 90_000;

/** Tries until it works. @throws the last error, where it does not within the time */
export async function persistently<T>(work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;)
    try {
      return await work();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(300);
    }
}
