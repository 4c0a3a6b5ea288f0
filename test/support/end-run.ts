import { WorkflowNotFoundError } from '@temporalio/client';

/**
 * Terminates a run, which may have ended by then: the end of a parent ends its children, and whether a child of it has
 * ended when it is told to is a race.
 *
 * @throws other errors than that it is not there (any more)
 */
export async function endRun(run: { terminate(): Promise<unknown> }): Promise<void> {
  try {
    await run.terminate();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
