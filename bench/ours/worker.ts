import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { type AwsProxyActivities } from '../../activities/aws-proxy/contract';
import { type BackupProxyActivities } from '../../activities/backup-proxy/contract';
import { type RunContext } from '../../plan/run';
import { queueWorkers, type Role } from '../../workers/roles';
import { workerSettings } from '../../workers/settings';

type Activity = (input: unknown) => Promise<unknown>;

/** What the SDK lets run at once on a task queue for which nothing is said (WorkerOptions). */
const DEFAULT_SLOTS = 100;

/**
 * The activities of a role, wired as its worker wires them, from the same environment. No more of a task queue's run at
 * once than there; where a queue of its own has an activity, that is the one which counts.
 */
function activitiesOf(role: Role): object {
  const all: Record<string, Activity> = {};
  for (const { activities, maxConcurrentActivityTaskExecutions: slots } of queueWorkers(role)) {
    const inSlot = slotted(slots ?? DEFAULT_SLOTS);
    for (const [name, activity] of Object.entries(activities ?? {}))
      all[name] = (input) => inSlot(() => (activity as Activity)(input));
  }
  return all;
}

/** Runs work as slots become free, first come, first served. */
function slotted(slots: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = slots;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((turn) => waiting.push(turn));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
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
