import { type WorkflowFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { RunFailedError } from './errors';

/** Walks a run's chain of failures down to the one that tells what happened. */
export function runFailed(workflowId: string, error: WorkflowFailedError): RunFailedError {
  let at: Error | undefined = error.cause;
  let vm: string | undefined;
  let step: string | undefined;
  while (at instanceof ActivityFailure || at instanceof ChildWorkflowFailure) {
    if (at instanceof ActivityFailure) step = at.activityType;
    else vm = childVm(at.execution?.workflowId) ?? vm;
    if (at.cause === undefined) break;
    at = at.cause;
  }
  const type = at instanceof ApplicationFailure ? (at.type ?? undefined) : undefined;
  return new RunFailedError(sentenceOf(at), outcomeOf(error.cause), { type, vm, step, cause: error });

  function sentenceOf(failure: Error | undefined): string {
    if (failure instanceof TimeoutFailure) return `timed out (${failure.timeoutType})`;
    if (failure instanceof CancelledFailure) return 'was cancelled';
    if (failure instanceof TerminatedFailure) return `was terminated: ${failure.message}`;
    return failure?.message ?? `the run ${workflowId} failed without saying why`;
  }
}

/** VM of a child workflow, whose id is its run's id and the VM: `lifeboat:<plan>:<type>:<vm>`. */
function childVm(workflowId: string | null | undefined): string | undefined {
  return workflowId?.split(':')[3];
}

function outcomeOf(cause: Error | undefined): RunFailedError['outcome'] {
  if (cause instanceof CancelledFailure) return 'cancelled';
  if (cause instanceof TerminatedFailure) return 'terminated';
  if (cause instanceof TimeoutFailure) return 'timed-out';
  return 'failed';
}
