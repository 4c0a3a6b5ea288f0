import { type Client } from '@temporalio/client';

/** TaskQueueType of temporal.api.enums.v1. */
const WORKFLOW_QUEUE = 1;
const ACTIVITY_QUEUE = 2;

/** Seconds without a poll after which a worker counts as gone: a poll lasts for a minute at most, and the server names a dead one for five. */
const GONE_SECONDS = 75;

/** A worker that polls a task queue. */
export interface Poller {
  identity: string;
  /** Of a version of a worker deployment; undefined where it is none. */
  deployment: string | undefined;
  buildId: string | undefined;
}

/** Version of a worker deployment. */
export interface DeploymentVersion {
  deployment: string;
  buildId: string;
}

/** Who polls a task queue, by identity, and the version of a deployment that gets what is new; undefined: workers without one. */
export async function pollersOf(
  temporal: Pick<Client, 'workflowService' | 'options'>,
  taskQueue: string,
  kind: 'workflows' | 'activities',
  now = new Date(),
): Promise<{ pollers: Poller[]; current: DeploymentVersion | undefined }> {
  const { pollers, versioningInfo } = await temporal.workflowService.describeTaskQueue({
    namespace: temporal.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: kind === 'workflows' ? WORKFLOW_QUEUE : ACTIVITY_QUEUE,
  });
  const { deploymentName, buildId } = versioningInfo?.currentDeploymentVersion ?? {};
  return {
    pollers: (pollers ?? [])
      .filter(({ lastAccessTime }) => secondsOf(lastAccessTime) > now.getTime() / 1000 - GONE_SECONDS)
      .map(({ identity, deploymentOptions }) => ({
        identity: identity ?? '',
        deployment: deploymentOptions?.deploymentName || undefined,
        buildId: deploymentOptions?.buildId || undefined,
      }))
      .sort((a, b) => (a.identity < b.identity ? -1 : 1)),
    current: deploymentName && buildId ? { deployment: deploymentName, buildId } : undefined,
  };
}

/** A time as the Temporal server tells it. */
export interface Timestamp {
  seconds?: number | string | bigint | { toString(): string } | null;
}

/** Seconds since 1970. */
export const secondsOf = (time: Timestamp | null | undefined): number => Number(String(time?.seconds ?? 0));
