import {
  ApplicationFailure,
  ActivityFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';

/** The sentence at the bottom of a chain of Temporal failures, which is the one that tells what happened. */
export function causeMessage(error: unknown): string {
  if ((error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && error.cause) {
    const where = error instanceof ActivityFailure ? `${error.activityType}: ` : '';
    return where + causeMessage(error.cause);
  }
  if (error instanceof TimeoutFailure) return `timed out (${error.timeoutType})`;
  return error instanceof Error ? error.message : String(error);
}

/** Whether a failure of this type lies anywhere in the chain. */
export function hasFailureType(error: unknown, type: string): boolean {
  if (error instanceof ApplicationFailure && error.type === type) return true;
  return error instanceof Error && error.cause !== undefined && hasFailureType(error.cause, type);
}

/** Adds to the sentence that {@link causeMessage} finds. What came from a server is sent on as it came, so it is told there, too. */
export function amend(error: unknown, addition: string): void {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  if (!(innermost instanceof Error)) return;
  innermost.message += addition;
  if (innermost instanceof TemporalFailure && innermost.failure)
    innermost.failure.message = innermost.message;
}
