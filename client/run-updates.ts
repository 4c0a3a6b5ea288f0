import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { NotWaitingError } from './errors';
import { type LifeboatRun } from './run';

/**
 * Sends an update to a run, and waits for its answer.
 * @throws NotWaitingError with the run's own words, where it refuses; and where it has ended
 */
export async function updateRun<Answer, Request>(
  temporal: Client,
  run: Pick<LifeboatRun, 'workflowId' | 'runId'>,
  name: string,
  request: Request,
): Promise<Answer> {
  try {
    return await temporal.workflow
      .getHandle(run.workflowId, run.runId)
      .executeUpdate<Answer, [Request]>(name, { args: [request] });
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError)
      throw new NotWaitingError(error.cause?.message ?? error.message, { cause: error });
    if (error instanceof WorkflowNotFoundError)
      throw new NotWaitingError(`The run ${run.workflowId} has ended meanwhile.`, { cause: error });
    throw error;
  }
}
