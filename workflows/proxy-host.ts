import { TimeoutType } from '@temporalio/common';
import { TimeoutFailure } from '@temporalio/workflow';
import { type AwsProxyHostActivities } from '../activities/aws-proxy/contract';
import { awsProxy, awsProxyHost } from './activities';

/** Hosts tried before the run gives up: each try already waits for a dead host to come back. */
const HOST_ATTEMPTS = 3;

/** One AWS proxy, for work that must stay on it. */
export interface ProxyHost {
  activities: AwsProxyHostActivities;
  instanceId: string;
  availabilityZone: string;
}

/** Work from attach to detach stays on one AWS proxy; when that host dies, it begins again on another. */
export async function onProxyHost<T>(work: (host: ProxyHost, attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const { taskQueue, instanceId, availabilityZone } = await awsProxy.proxyHost();
    try {
      return await work({ activities: awsProxyHost(taskQueue), instanceId, availabilityZone }, attempt);
    } catch (error) {
      if (!hostIsGone(error) || attempt === HOST_ATTEMPTS) throw error;
    }
  }
}

/** Nobody took the work from the host's queue in time. */
function hostIsGone(error: unknown): boolean {
  if (error instanceof TimeoutFailure) return error.timeoutType === TimeoutType.SCHEDULE_TO_START;
  return error instanceof Error && error.cause !== undefined && hostIsGone(error.cause);
}
