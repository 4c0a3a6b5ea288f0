import { setTimeout as sleep } from 'node:timers/promises';
import { AlreadyRunningError, RunFailedError } from '../../client/errors';
import { isUnreachable } from '../../client/connect';
import { type LifeboatClient } from '../../client/client';
import { type LifeboatRun } from '../../client/run';
import { type RunResults } from '../../client/run-types';
import { retryWhereWaiting } from '../support/attention';

/** How a run ended, by itself. */
export type Outcome =
  | { ended: 'completed'; runId: string; result: RunResults[LifeboatRun['type']] }
  | { ended: 'failed' | 'cancelled'; why: string };

/** A run that goes on for so long, while all that dies is started again within seconds, is taken for hung. */
const PATIENCE_MS = 240_000;
const RETRY_MS = 500;
const ATTENTION_MS = 3000;

export class HungError extends Error {}

type Start = (client: LifeboatClient) => Promise<LifeboatRun>;

/**
 * Starts a run, whatever dies meanwhile, and waits for its end.
 * @throws HungError where it does not end by itself
 */
export async function runToItsEnd(
  client: LifeboatClient,
  which: {
    type: 'backup' | 'restore' | 'replication' | 'failover' | 'failback' | 'undo' | 'commit' | 'check';
    plan: string;
    mode?: 'disaster' | 'test';
  },
  start: Start,
  cancelAfterMs: number | undefined,
): Promise<Outcome> {
  const deadline = Date.now() + PATIENCE_MS;
  const run = await started(client, which, start, deadline);
  const cancelling =
    cancelAfterMs === undefined
      ? undefined
      : sleep(cancelAfterMs).then(() => untilReachable(deadline, () => run.handle.cancel()));
  // A run that has ended by then is not there to be cancelled.
  cancelling?.catch(() => undefined);
  const timeout = new AbortController();
  const attending = attend(client, run, timeout.signal);
  // What it fails with is told when the run has ended.
  attending.catch(() => undefined);
  try {
    const ended: Promise<Outcome> = run.result().then(
      (result) => ({ ended: 'completed', runId: run.runId, result }),
      (error: unknown) => {
        if (!(error instanceof RunFailedError)) throw error;
        return { ended: error.outcome === 'cancelled' ? 'cancelled' : 'failed', why: error.sentence };
      },
    );
    const hung = sleep(deadline - Date.now(), undefined, { signal: timeout.signal }).then(() => {
      throw new HungError(`${run.workflowId} (${run.runId}) does not end`);
    });
    hung.catch(() => undefined);
    const outcome = await Promise.race([ended, hung]);
    timeout.abort();
    await attending;
    return outcome;
  } finally {
    timeout.abort();
  }
}

/** An administrator who looks at the run now and then, and tells it to go on where it waits: faults end by then. */
async function attend(client: LifeboatClient, run: LifeboatRun, signal: AbortSignal): Promise<void> {
  if (run.type !== 'failover' && run.type !== 'failback') return;
  while (!signal.aborted) {
    await sleep(ATTENTION_MS, undefined, { signal }).catch(() => undefined);
    try {
      if (!signal.aborted) await retryWhereWaiting(client, run);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
    }
  }
}

async function started(
  client: LifeboatClient,
  { type, ...which }: Parameters<typeof runToItsEnd>[1],
  start: Start,
  deadline: number,
): Promise<LifeboatRun> {
  return untilReachable(deadline, async () => {
    try {
      return await start(client);
    } catch (error) {
      if (!(error instanceof AlreadyRunningError)) throw error;
      // The answer to an earlier try was lost.
      const running = await client.attach(type, which);
      if (running === undefined) throw error;
      return running;
    }
  });
}

async function untilReachable<T>(deadline: number, work: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await work();
    } catch (error) {
      if (Date.now() > deadline || !(isUnreachable(error) || error instanceof AlreadyRunningError))
        throw error;
      await sleep(RETRY_MS);
    }
}
