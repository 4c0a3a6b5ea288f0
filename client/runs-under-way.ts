import { WorkflowNotFoundError } from '@temporalio/client';
import { type RunStatus } from '../workflows/run/messages';
import { type FailoverMode, type WorkflowType } from '../workflows/run/ids';
import { type LifeboatClient } from './client';
import { type RunAsker } from './run';
import { look } from './progress';
import { pinnedVersion } from './worker-versions';

/** A run of a plan that moves the application, or tries to, and what it waits for. */
export interface RunUnderWay {
  type: WorkflowType;
  mode: FailoverMode | undefined;
  workflowId: string;
  runId: string;
  /** Who asked for it; absent where nobody said so. */
  askedBy?: RunAsker;
  /** Its own account; undefined while no control worker answers. */
  status: RunStatus | undefined;
  /** Version of the control workers that it ends on; only where it is bound to one, and no worker answers for it. */
  pinnedTo?: string;
}

const KINDS: [type: WorkflowType, mode?: FailoverMode][] = [['failover'], ['failover', 'test'], ['failback']];

/** The plan's runs that people may have to decide something of. */
export async function runsUnderWay(client: LifeboatClient, plan: string): Promise<RunUnderWay[]> {
  const found: RunUnderWay[] = [];
  for (const [type, mode] of KINDS) {
    const run = await client.attach(type, { plan, mode });
    if (run === undefined) continue;
    try {
      const { snapshot } = await look(client.temporal, run);
      const { workflowId, runId } = run;
      const { running, status } = snapshot;
      const pinnedTo =
        running && status === undefined ? await pinnedVersion(client.temporal, run) : undefined;
      if (running)
        found.push({
          type,
          mode,
          workflowId,
          runId,
          status,
          ...(run.askedBy === undefined ? {} : { askedBy: run.askedBy }),
          ...(pinnedTo === undefined ? {} : { pinnedTo }),
        });
    } catch (error) {
      // It has ended since.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
  return found;
}
