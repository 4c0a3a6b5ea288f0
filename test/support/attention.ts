import { type LifeboatClient } from '../../client/client';
import { NotWaitingError } from '../../client/errors';
import { look } from '../../client/progress';
import { type LifeboatRun } from '../../client/run';
import { eventually } from './eventually';

/** Seconds until a run has come as far as it can without a person. */
const PATIENCE_SECONDS = 90;

/** Waits until so many VMs of a run wait for a person. */
export async function untilVmsWait(client: LifeboatClient, run: LifeboatRun, vms: number): Promise<void> {
  await eventually(PATIENCE_SECONDS, async () => {
    const { snapshot } = await look(client.temporal, run);
    const waiting = snapshot.status?.vms.filter(({ phase }) => phase === 'needs attention') ?? [];
    return waiting.length === vms ? true : undefined;
  });
}

/** Tells a run to go on, where it waits for a person. */
export async function retryWhereWaiting(client: LifeboatClient, run: LifeboatRun): Promise<void> {
  const { snapshot } = await look(client.temporal, run);
  if (snapshot.status?.needsAttention !== true) return;
  try {
    await client.retry(run.plan);
  } catch (error) {
    // It has ended, or was told by somebody else, since it was looked at.
    if (!(error instanceof NotWaitingError)) throw error;
  }
}
