import { type BackupRequest, type BackupSummary } from '../workflows/backup';
import { type CheckSummary } from '../workflows/check';
import { type CommitSummary } from '../workflows/commit';
import { type DnsCheckSummary, type TtlSummary } from '../workflows/dns-upkeep';
import { type FailbackRequest, type FailbackSummary } from '../workflows/failback';
import { type FailoverRequest, type FailoverSummary } from '../workflows/failover';
import { type FailoverMode, type WorkflowType } from '../workflows/run/ids';
import { type NotifySummary } from '../workflows/notify';
import { type PruneRequest, type PruneSummary } from '../workflows/prune';
import { type AwaySummary } from '../workflows/protect-away';
import { type ReplicationSummary } from '../workflows/replication';
import { type RestoreSummary } from '../workflows/restore';
import { type VerifyRequest, type VerifySummary } from '../workflows/verify';
import { type RunRequest } from '../workflows/run/begin';
import { type FenceSummary } from '../workflows/fence';
import { type UndoRequest, type UndoSummary } from '../workflows/undo-request';

/** The one argument of each run; imported as types only, so that no workflow code runs in a client. */
export interface RunArguments {
  backup: BackupRequest;
  restore: RunRequest;
  replication: RunRequest;
  failover: FailoverRequest;
  failback: FailbackRequest;
  commit: RunRequest;
  undo: UndoRequest;
  fence: RunRequest;
  verify: VerifyRequest;
  prune: PruneRequest;
  checkDnsRecords: RunRequest;
  lowerDnsTtls: RunRequest;
  restoreDnsTtls: RunRequest;
  check: RunRequest;
  tryNotices: RunRequest;
}

/** What each run returns. */
export interface RunResults {
  backup: BackupSummary;
  restore: RestoreSummary;
  replication: ReplicationSummary | AwaySummary;
  failover: FailoverSummary;
  failback: FailbackSummary;
  commit: CommitSummary;
  undo: UndoSummary;
  fence: FenceSummary;
  verify: VerifySummary;
  prune: PruneSummary;
  checkDnsRecords: DnsCheckSummary;
  lowerDnsTtls: TtlSummary;
  restoreDnsTtls: TtlSummary;
  check: CheckSummary;
  tryNotices: NotifySummary;
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
    undo: 'Undo what was done with',
    fence: 'Keep off at the primary site:',
    verify: 'Verify the DR copies of',
    prune: 'Prune the backups of',
    checkDnsRecords: 'Check the DNS records of',
    lowerDnsTtls: 'Lower the TTLs of',
    restoreDnsTtls: 'Restore the TTLs of',
    check: 'Check',
    tryNotices: 'Try who is told of',
  };
  return `${verbs[type]} plan ${plan}`;
}
