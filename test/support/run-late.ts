import { type Client } from '@temporalio/client';
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

/** Milliseconds that a late activity gets before it is cancelled: it would wait for what does not come any more. */
const PATIENCE_MS = 1500;

const logger = new DefaultLogger('ERROR');

/** How an activity ended that ran when nobody waited for it any more. */
export type LateOutcome =
  { kind: 'done'; result: unknown } | { kind: 'refused' | 'cancelled' | 'unclear'; why: string };

/**
 * Runs an activity as a worker does that was believed dead and goes on; it is cancelled when it takes long.
 * @param client what the activity reaches Temporal by, where it does
 */
export async function runLate(
  activity: (input: unknown) => Promise<unknown>,
  input: unknown,
  client?: Client,
): Promise<LateOutcome> {
  const environment = new MockActivityEnvironment({ attempt: 2 }, { logger, client });
  const timer = setTimeout(() => environment.cancel(), PATIENCE_MS);
  try {
    return { kind: 'done', result: await environment.run(activity, input) };
  } catch (error) {
    if (error instanceof ApplicationFailure)
      return { kind: 'refused', why: `${error.type}: ${error.message}` };
    if (error instanceof TemporalFailure || (error instanceof Error && error.name === 'AbortError'))
      return { kind: 'cancelled', why: error.message };
    return { kind: 'unclear', why: String(error) };
  } finally {
    clearTimeout(timer);
  }
}
