import { awsProxyHostQueue } from '../../task-queues';
import { type AwsProxyActivities } from '../contract';

export interface ProxyHostDependencies {
  /** EC2 instance id of this host. */
  instanceId: string;
  availabilityZone: string;
}

/** Tells a workflow where work runs that must stay on one host: whichever proxy takes this activity offers itself. */
export function createProxyHostActivities({
  instanceId,
  availabilityZone,
}: ProxyHostDependencies): Pick<AwsProxyActivities, 'proxyHost'> {
  return {
    proxyHost: () =>
      Promise.resolve({ taskQueue: awsProxyHostQueue(instanceId), instanceId, availabilityZone }),
  };
}
