import { executeChild, ParentClosePolicy } from '@temporalio/workflow';
import { backup, type BackupSummary } from './backup';
import { begin, requirePhase, type RunRequest } from './begin';
import { workflowId } from './ids';
import { restore, type RestoreSummary } from './restore';
import { RunProgress } from './run-status';

/** One round of scheduled replication: a backup of every VM, then the DR copies brought up to it. */
export async function replication(
  request: RunRequest,
): Promise<{ backup: BackupSummary; restore: RestoreSummary }> {
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
  progress.phase('done');
  return { backup: backedUp, restore: restored };
}
