import { executeChild, isCancellation, log, ParentClosePolicy } from '@temporalio/workflow';
import { backup, type BackupSummary } from './backup';
import { begin, requirePhase, type RunRequest } from './begin';
import { causeMessage } from './failure-message';
import { workflowId } from './ids';
import { prune, type PruneSummary } from './prune';
import { restore, type RestoreSummary } from './restore';
import { RunProgress } from './run-status';

export interface ReplicationSummary {
  backup: BackupSummary;
  restore: RestoreSummary;
  /** What was pruned; or, in words, why that failed. */
  prune: PruneSummary | { failed: string };
}

/**
 * One round of scheduled replication: a backup of every VM, then the DR copies brought up to it, then retention. Where
 * only that fails, the application is protected all the same: the round is done, and says so.
 */
export async function replication(request: RunRequest): Promise<ReplicationSummary> {
  const begun = await begin(request);
  const { plan, run } = begun;
  const progress = new RunProgress(plan.name, []);
  requirePhase(begun, ['none', 'protected'], 'replicate');
  // Both get the digest, so that a plan published in between cannot split the round.
  const args: [RunRequest] = [{ plan: plan.name, digest: run.digest }];

  progress.phase('backing up');
  const backedUp = await executeChild(backup, {
    args,
    workflowId: workflowId(plan.name, 'backup'),
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: `Back up plan ${plan.name}`,
  });
  progress.phase('restoring');
  const restored = await executeChild(restore, {
    args,
    workflowId: workflowId(plan.name, 'restore'),
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: `Restore plan ${plan.name}`,
  });
  progress.phase('pruning');
  const pruned = await pruneAfter(plan.name, run.digest);
  progress.phase('failed' in pruned ? `done, but pruning failed: ${pruned.failed}` : 'done');
  return { backup: backedUp, restore: restored, prune: pruned };
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
