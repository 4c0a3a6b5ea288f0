import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until there is an answer. @throws Error after `seconds`, with the last error that asking ended in */
export async function eventually<T>(
  seconds: number,
  ask: () => Promise<T | undefined>,
  pauseSeconds = 0.3,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await sleep(pauseSeconds * 1000);
  }
  throw new Error(`Nothing within ${seconds} s.`, { cause: last });
}
