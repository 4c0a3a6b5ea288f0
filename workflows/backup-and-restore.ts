import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild, ParentClosePolicy, sleep } from '@temporalio/workflow';
import { backup, type BackupRequest, type BackupSummary } from './backup';
import { restore, type RestoreSummary } from './restore';
import { type RunRequest } from './run/begin';
import { workflowId } from './run/ids';
import { type RunProgress } from './run/run-status';
import { TASK_TIMEOUT } from './run/task-timeout';

/**
 * A backup of every VM, then the DR copies brought up to it; both as runs of their own, of the same version of the plan.
 * @param request with the plan's digest, so that a plan published in between cannot split the two
 * @param of what it is part of, for people
 */
export async function backUpAndRestore(
  progress: RunProgress,
  { plan, digest, outsideWindow }: BackupRequest,
  of?: string,
): Promise<{ backup: BackupSummary; restore: RestoreSummary }> {
  const phase = (step: string): string => (of === undefined ? step : `${step} ${of}`);
  const args: [RunRequest] = [{ plan, digest }];
  const begins = outsideWindow === undefined ? {} : { outsideWindow };
  const backedUp = await afterOthers(progress, phase('backing up'), () =>
    executeChild(backup, {
      args: [{ ...args[0], ...begins }],
      workflowId: workflowId(plan, 'backup'),
      workflowTaskTimeout: TASK_TIMEOUT,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Back up plan ${plan}`,
    }),
  );
  const restored = await afterOthers(progress, phase('restoring'), () =>
    executeChild(restore, {
      args,
      workflowId: workflowId(plan, 'restore'),
      workflowTaskTimeout: TASK_TIMEOUT,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Restore plan ${plan}`,
    }),
  );
  return { backup: backedUp, restore: restored };
}

/** Seconds between two looks whether a run that was started by hand has ended: soon at first, and few events in all. */
const FIRST_LOOK_SECONDS = 2;
const LAST_LOOK_SECONDS = 60;

/**
 * A step of the round, when none of its kind is under way any more that somebody started by hand. It is done all the
 * same: that one may have begun before what is to be protected was written.
 */
async function afterOthers<T>(progress: RunProgress, phase: string, step: () => Promise<T>): Promise<T> {
  progress.phase(phase);
  for (let seconds = FIRST_LOOK_SECONDS; ; seconds = Math.min(2 * seconds, LAST_LOOK_SECONDS)) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      progress.phase(`${phase}: waiting for the end of the run that is under way already`);
      await sleep(seconds * 1000);
    }
  }
}
