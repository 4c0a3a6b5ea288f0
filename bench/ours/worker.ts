import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { type AwsProxyActivities } from '../../activities/aws-proxy/contract';
import { type BackupProxyActivities } from '../../activities/backup-proxy/contract';
import { type RunContext } from '../../plan/run';
import { queueWorkers, type Role } from '../../workers/roles';
import { workerSettings } from '../../workers/settings';

/** The activities of a role, wired as its worker wires them, from the same environment. */
function activitiesOf(role: Role): object {
  return Object.assign({}, ...queueWorkers(role).map(({ activities }) => activities)) as object;
}

export const awsProxy = (): AwsProxyActivities => activitiesOf('aws-proxy') as AwsProxyActivities;
export const backupProxy = (): BackupProxyActivities => activitiesOf('backup-proxy') as BackupProxyActivities;

/** A run of the plan, as workflows hand it to activities. */
export function runContext(role: Role, runId: string): RunContext {
  const { repository } = workerSettings(role);
  return { plan: 'bench', digest: '0'.repeat(64), repository, runId, generation: 1 };
}

/** Runs an activity as a worker does, without a Temporal server. */
export function inActivity<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: NoInfer<Input>,
): Promise<Output> {
  const environment = new MockActivityEnvironment({ attempt: 1 }, { logger: new DefaultLogger('WARN') });
  return environment.run(activity, input);
}
