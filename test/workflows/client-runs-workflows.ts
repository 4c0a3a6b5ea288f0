import {
  ApplicationFailure,
  condition,
  defineSignal,
  executeChild,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { type KeptFinding, verdictOf } from '../../plan/readiness';
import { type CheckSummary } from '../../workflows/check';
import { type RunRequest } from '../../workflows/run/begin';
import { statusQuery } from '../../workflows/run/messages';

/**
 * Stand-ins for the runs, as far as the client sees them: names, arguments, the status query, children, failures.
 * The runs themselves have tests of their own.
 */
const activities = proxyActivities<{
  findings(): Promise<KeptFinding[]>;
  copyDisk(vm: string): Promise<void>;
  launchShell(vm: string): Promise<void>;
}>({
  startToCloseTimeout: '1m',
  heartbeatTimeout: '10s',
  retry: { maximumAttempts: 1 },
});

export const finish = defineSignal('finish');

export async function backup({ plan }: RunRequest) {
  let finished = false;
  setHandler(finish, () => void (finished = true));
  setHandler(statusQuery, () => ({
    phase: 'backing up',
    needsAttention: false,
    vms: [{ vm: 'db', phase: 'copying', detail: 'one | two', since: new Date(0).toISOString() }],
  }));
  const child = executeChild(backupVm, { args: ['db'], workflowId: `${workflowInfo().workflowId}:db` });
  await condition(() => finished);
  await child;
  const disk = { key: 'system', blocks: 12, bytes: 12 * 512 * 1024, blocksSentAgain: 0, seconds: 3 };
  return {
    plan,
    vms: [{ vm: 'db', backupId: 'x', takenAt: '2026-11-23T18:00:00.000Z', kind: 'full', disks: [disk] }],
  };
}

export async function backupVm(vm: string): Promise<void> {
  await activities.copyDisk(vm);
}

export async function failover({ plan, mode }: RunRequest & { mode: string }): Promise<void> {
  if (mode === 'test')
    throw ApplicationFailure.nonRetryable(`There is no DR copy of ${plan}.`, 'NotReadyForFailover');
  await executeChild(failoverVm, { args: ['web'], workflowId: `${workflowInfo().workflowId}:web` });
}

export async function failoverVm(vm: string): Promise<void> {
  await activities.launchShell(vm);
}

export async function failback(): Promise<void> {
  let finished = false;
  setHandler(finish, () => void (finished = true));
  await condition(() => finished);
}

export async function check({ plan, digest = '' }: RunRequest): Promise<CheckSummary> {
  const findings = await activities.findings();
  const { firstExecutionRunId: runId } = workflowInfo();
  const checkedAt = new Date().toISOString();
  const verdict = verdictOf(findings);
  return { plan, digest, runId, checkedAt, verdict, findings, recoveryPoints: {}, proxies: {} };
}

export async function replication(): Promise<void> {}
