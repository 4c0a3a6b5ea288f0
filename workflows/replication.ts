import { executeChild, isCancellation, log, ParentClosePolicy, patched, sleep } from '@temporalio/workflow';
import { type BackupSummary } from './backup';
import { backUpAndRestore } from './backup-and-restore';
import { windowText } from '../plan/daily-window';
import { type ClosedWindow } from '../plan/replication-limit';
import { begin, requirePhase, type RunRequest } from './run/begin';
import { causeMessage } from './run/failure-message';
import { workflowId } from './run/ids';
import { prune, type PruneSummary } from './prune';
import { type RestoreSummary } from './restore';
import { RunProgress } from './run/run-status';
import { type AwaySummary, protectAway } from './protect-away';

export interface ReplicationSummary {
  backup: BackupSummary;
  restore: RestoreSummary;
  /** What was pruned; or, in words, why that failed. */
  prune: PruneSummary | { failed: string };
}

/**
 * One round of scheduled replication: a backup of every VM, then the DR copies brought up to it, then retention. Where
 * only that fails, the application is protected all the same: the round is done, and says so. Where the plan has a window
 * for backups, the round waits for it. While the plan is failed over, the round copies the instances at the recovery site instead.
 */
export async function replication(request: RunRequest): Promise<ReplicationSummary | AwaySummary> {
  let begun = await begin(request);
  if (begun.phase === 'failed-over' && patched('away copies')) {
    const vms = begun.plan.vms.map(({ name }) => name).filter((name) => !begun.without.includes(name));
    return protectAway(begun, new RunProgress(begun.plan.name, vms));
  }
  const progress = new RunProgress(begun.plan.name, []);
  requirePhase(begun, ['none', 'protected'], 'replicate');
  while (begun.closedWindow !== undefined) {
    await untilOpen(progress, begun.closedWindow);
    begun = await begin(request);
    requirePhase(begun, ['none', 'protected'], 'replicate');
  }
  const { plan, run } = begun;
  // The round has begun, also where the window closes before the backup has.
  const begins = plan.replication.limit?.between === undefined ? {} : { outsideWindow: true };
  const { backup: backedUp, restore: restored } = await backUpAndRestore(progress, {
    plan: plan.name,
    digest: run.digest,
    ...begins,
  });
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
