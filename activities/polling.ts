import { heartbeat, sleep } from '@temporalio/activity';

/**
 * Asks again and again until there is an answer other than undefined. Heartbeats before every question, and so
 * learns of a cancellation, which ends the wait with a CancelledFailure. Errors of `ask` end it, too: the activity's
 * retry begins it again.
 */
export async function pollUntil<Answer>(
  ask: () => Promise<Answer | undefined>,
  everySeconds: number,
): Promise<Answer> {
  for (;;) {
    heartbeat();
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(everySeconds * 1000);
  }
}
