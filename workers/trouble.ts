import { type Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { type ActivityInterceptorsFactory } from '@temporalio/worker';
import { runOfWorkflow } from '../workflows/run/ids';
import { troubleSignal } from '../workflows/run/messages';

/** Attempts whose failure is told: often enough to see that it goes on, and few events in a history of a thousand. */
const TOLD_ATTEMPTS: ReadonlySet<number> = new Set([3, 10, 30, 100, 300, 999]);

/** Milliseconds until the next attempt from which on it is told at once: for as long as this, somebody has to act. */
const LONG_DELAY_MS = 30_000;

/** A workflow does not see that its activities are tried again; so a worker whose tries keep failing tells the run. */
export const tellsTrouble: ActivityInterceptorsFactory = (context) => ({
  inbound: {
    async execute(input, next) {
      try {
        return await next(input);
      } catch (error) {
        const { attempt } = context.info;
        const told = TOLD_ATTEMPTS.has(attempt) || (attempt === 1 && waitsLong(error));
        if (told && isTriedAgain(error)) await tell(context, error);
        throw error;
      }
    },
  },
});

function isTriedAgain(error: unknown): error is Error {
  if (error instanceof ApplicationFailure) return error.nonRetryable !== true;
  return error instanceof Error && !(error instanceof CancelledFailure) && error.name !== 'AbortError';
}

function waitsLong(error: unknown): boolean {
  if (!(error instanceof ApplicationFailure)) return false;
  return typeof error.nextRetryDelay === 'number' && error.nextRetryDelay >= LONG_DELAY_MS;
}

async function tell({ info, client, log }: Context, error: Error): Promise<void> {
  const { workflowId, vm } = runOfWorkflow(info.workflowExecution?.workflowId ?? '');
  const text = `${info.activityType} is tried again, its attempt ${info.attempt} failed: ${error.message}`;
  try {
    await client.workflow
      .getHandle(workflowId)
      .signal(troubleSignal, vm === undefined ? { text } : { vm, text });
  } catch (cause) {
    // The failure itself must get through, whatever is wrong with telling it; a run that has ended needs no telling.
    if (!(cause instanceof WorkflowNotFoundError))
      log.warn('could not tell the run of its trouble', { cause });
  }
}
