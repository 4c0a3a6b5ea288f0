import { type BackupRequest, type BackupSummary } from '../workflows/backup';
import { type CheckSummary } from '../workflows/check';
import { type CommitSummary } from '../workflows/commit';
import { type FailbackRequest, type FailbackSummary } from '../workflows/failback';
import { type FailoverRequest, type FailoverSummary } from '../workflows/failover';
import { type FailoverMode, type WorkflowType } from '../workflows/run/ids';
import { type PruneRequest, type PruneSummary } from '../workflows/prune';
import { type AwaySummary } from '../workflows/protect-away';
import { type ReplicationSummary } from '../workflows/replication';
import { type RestoreSummary } from '../workflows/restore';
import { type VerifyRequest, type VerifySummary } from '../workflows/verify';
import { type RunRequest } from '../workflows/run/begin';

/** The one argument of each run; imported as types only, so that no workflow code runs in a client. */
export interface RunArguments {
  backup: BackupRequest;
  restore: RunRequest;
  replication: RunRequest;
  failover: FailoverRequest;
  failback: FailbackRequest;
  commit: RunRequest;
  verify: VerifyRequest;
  prune: PruneRequest;
  check: RunRequest;
}

/** What each run returns. */
export interface RunResults {
  backup: BackupSummary;
  restore: RestoreSummary;
  replication: ReplicationSummary | AwaySummary;
  failover: FailoverSummary;
  failback: FailbackSummary;
  commit: CommitSummary;
  verify: VerifySummary;
  prune: PruneSummary;
  check: CheckSummary;
}

export type RunArgument<Type extends WorkflowType = WorkflowType> = RunArguments[Type];

const FAILOVERS: Record<FailoverMode, string> = {
  disaster: 'Fail over',
  planned: 'Planned failover of',
  test: 'Test failover of',
};

/** Summary of a run in the Web UI's list. */
export function runSummary(type: WorkflowType, plan: string, mode?: FailoverMode): string {
  const verbs: Record<WorkflowType, string> = {
    backup: 'Back up',
    restore: 'Restore',
    replication: 'Replicate',
    failover: FAILOVERS[mode ?? 'disaster'],
    failback: 'Fail back',
    commit: 'Commit the failback of',
    verify: 'Verify the DR copies of',
    prune: 'Prune the backups of',
    check: 'Check',
  };
  return `${verbs[type]} plan ${plan}`;
}
