import { awsProxyHostQueue, awsProxyPulseQueue } from '../../task-queues';
import { type ProxyHostActivities, type PulseActivities } from './contract';

export interface ProxyHostDependencies {
  /** EC2 instance id of this host. */
  instanceId: string;
  availabilityZone: string;
}

/** Tells a workflow where work runs that must stay on one host: whichever proxy takes this activity offers itself. */
export function createProxyHostActivities({
  instanceId,
  availabilityZone,
}: ProxyHostDependencies): ProxyHostActivities {
  return {
    proxyHost: () =>
      Promise.resolve({
        taskQueue: awsProxyHostQueue(instanceId),
        pulseQueue: awsProxyPulseQueue(instanceId),
        instanceId,
        availabilityZone,
      }),
  };
}

/** What tells a busy proxy from a dead one. */
export function createPulseActivities(): PulseActivities {
  return { answerPulse: () => Promise.resolve() };
}
