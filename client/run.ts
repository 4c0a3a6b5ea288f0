import {
  type Client,
  WorkflowFailedError,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import { type PointChoice } from '../plan/lines';
import { type WorkflowType } from '../workflows/run/ids';
import { type Asker } from '../workflows/run/messages';
import { isUnreachable } from './connect';
import { runFailed } from './failure';
import { type RunArgument, type RunResults } from './run-types';

/** Milliseconds between tries while the server is away; it comes back in seconds where something restarts it. */
const AWAY_INTERVAL_MS = 1000;

/** Who asked for a run, with what the server knows of it: either may be all that is known. */
export interface RunAsker extends Partial<Asker> {
  /** `type:name` by which the server authenticated who started it; absent where it authenticates nobody, or does not tell. */
  authenticatedAs?: string;
}

/** One run of a plan, under way or ended. */
export interface LifeboatRun<Type extends WorkflowType = WorkflowType> {
  type: Type;
  plan: string;
  /** Version of the plan that the run was started with; undefined where none was named. */
  digest: string | undefined;
  /** Who asked for it; absent where nobody said so, and the server knows nobody either. */
  askedBy?: RunAsker;
  /** Recovery points that a failover was asked for; absent where it takes those of the DR copies. */
  choice?: PointChoice;
  /** VMs that a test was asked for; absent where it is of all. */
  part?: string[];
  namespace: string;
  workflowId: string;
  runId: string;
  /** Whether the run was under way before it was asked for. */
  attached: boolean;
  /** Temporal's own handle, for whatever this client does not cover. */
  handle: Pick<WorkflowHandleWithFirstExecutionRunId, 'describe' | 'query' | 'cancel' | 'workflowId'>;
  /**
   * Waits for the end of the run, also while the server is away for a time.
   * @param away called when the server stops to answer, and (false) when it answers again
   * @throws RunFailedError where it did not complete
   */
  result(away?: (isAway: boolean) => void): Promise<RunResults[Type]>;
}

/** The run with this id, as the client offers it. */
export function runOf<Type extends WorkflowType>(
  client: Client,
  type: Type,
  argument: Pick<RunArgument, 'plan' | 'digest'> &
    PointChoice & { vms?: string[] | undefined; askedBy?: RunAsker | undefined },
  execution: { workflowId: string; runId: string; attached: boolean },
): LifeboatRun<Type> {
  const { workflowId, runId, attached } = execution;
  const handle = client.workflow.getHandle(workflowId, runId);
  return {
    type,
    plan: argument.plan,
    digest: argument.digest,
    ...(argument.askedBy === undefined ? {} : { askedBy: argument.askedBy }),
    ...choiceOf(argument),
    ...(argument.vms === undefined ? {} : { part: argument.vms }),
    namespace: client.options.namespace,
    workflowId,
    runId,
    attached,
    handle,
    async result(away) {
      for (;;) {
        try {
          return (await handle.result()) as RunResults[Type];
        } catch (error) {
          if (error instanceof WorkflowFailedError) throw runFailed(workflowId, error);
          if (!isUnreachable(error)) throw error;
          away?.(true);
          await untilAnswering(client);
          away?.(false);
        }
      }
    },
  };
}

function choiceOf({ at, point }: PointChoice): Pick<LifeboatRun, 'choice'> {
  if (at !== undefined) return { choice: { at } };
  return point === undefined ? {} : { choice: { point } };
}

async function untilAnswering(client: Client): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, AWAY_INTERVAL_MS));
    try {
      await client.connection.workflowService.getSystemInfo({});
      return;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
    }
  }
}
