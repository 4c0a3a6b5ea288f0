import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild, isCancellation, log, ParentClosePolicy, sleep } from '@temporalio/workflow';
import { backup, type BackupSummary } from './backup';
import { windowText } from '../plan/daily-window';
import { type ClosedWindow } from '../plan/replication-limit';
import { begin, requirePhase, type RunRequest } from './run/begin';
import { causeMessage } from './run/failure-message';
import { workflowId } from './run/ids';
import { prune, type PruneSummary } from './prune';
import { restore, type RestoreSummary } from './restore';
import { RunProgress } from './run/run-status';

export interface ReplicationSummary {
  backup: BackupSummary;
  restore: RestoreSummary;
  /** What was pruned; or, in words, why that failed. */
  prune: PruneSummary | { failed: string };
}

/**
 * One round of scheduled replication: a backup of every VM, then the DR copies brought up to it, then retention. Where
 * only that fails, the application is protected all the same: the round is done, and says so. Where the plan has a window
 * for backups, the round waits for it.
 */
export async function replication(request: RunRequest): Promise<ReplicationSummary> {
  let begun = await begin(request);
  const progress = new RunProgress(begun.plan.name, []);
  requirePhase(begun, ['none', 'protected'], 'replicate');
  while (begun.closedWindow !== undefined) {
    await untilOpen(progress, begun.closedWindow);
    begun = await begin(request);
    requirePhase(begun, ['none', 'protected'], 'replicate');
  }
  const { plan, run } = begun;
  // Both get the digest, so that a plan published in between cannot split the round.
  const args: [RunRequest] = [{ plan: plan.name, digest: run.digest }];
  // The round has begun, also where the window closes before the backup has.
  const begins = plan.replication.limit?.between === undefined ? {} : { outsideWindow: true };

  const backedUp = await afterOthers(progress, 'backing up', () =>
    executeChild(backup, {
      args: [{ ...args[0], ...begins }],
      workflowId: workflowId(plan.name, 'backup'),
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Back up plan ${plan.name}`,
    }),
  );
  const restored = await afterOthers(progress, 'restoring', () =>
    executeChild(restore, {
      args,
      workflowId: workflowId(plan.name, 'restore'),
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Restore plan ${plan.name}`,
    }),
  );
  progress.phase('pruning');
  const pruned = await pruneAfter(plan.name, run.digest);
  progress.phase('failed' in pruned ? `done, but pruning failed: ${pruned.failed}` : 'done');
  return { backup: backedUp, restore: restored, prune: pruned };
}

/** Seconds after which a round that waits looks at the plan again: somebody may have given it another window. */
const LOOK_AT_PLAN_SECONDS = 3600;

/** A round that is due while the window is closed waits for it; those that become due meanwhile are skipped. */
async function untilOpen(progress: RunProgress, { opensAt, ...window }: ClosedWindow): Promise<void> {
  progress.phase(`waiting until ${opensAt}: backups begin ${windowText(window)} only`);
  const seconds = Math.ceil((Date.parse(opensAt) - Date.now()) / 1000);
  await sleep(Math.min(Math.max(1, seconds), LOOK_AT_PLAN_SECONDS) * 1000);
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

async function pruneAfter(plan: string, digest: string): Promise<PruneSummary | { failed: string }> {
  try {
    return await executeChild(prune, {
      args: [{ plan, digest, sweep: 'when due' }],
      workflowId: workflowId(plan, 'prune'),
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `Prune the backups of plan ${plan}`,
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const failed = causeMessage(error);
    log.error('pruning failed; the next round tries again', { failed });
    return { failed };
  }
}
