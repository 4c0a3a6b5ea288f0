import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../host/message-of';

/** Seconds between two questions of somebody who waits for an answer. */
const PACE_SECONDS = 1;

/**
 * Asks until there is an answer.
 * @param whom who is asked, for the message
 * @throws with what the last question met, where that does not happen in time
 */
export async function untilAnswering(
  whom: string,
  seconds: number,
  question: () => Promise<unknown>,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      await question();
      return;
    } catch (error) {
      if (Date.now() >= deadline)
        throw new Error(`${whom} did not answer in ${seconds} s: ${messageOf(error)}`, { cause: error });
    }
    await sleep(PACE_SECONDS * 1000);
  }
}
