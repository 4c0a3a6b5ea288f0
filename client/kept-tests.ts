import { type EC2Client } from '@aws-sdk/client-ec2';
import { findKeptInstances } from '../activities/aws-proxy/account/kept-tests';

/** A test that is kept, as its instances' tags tell it. */
export interface KeptTestStatus {
  runId: string;
  /** ISO 8601, UTC. */
  until: string;
  /** Its time is over: it is being removed, or its Temporal server is lost. */
  overdue: boolean;
  instances: {
    vm: string;
    instanceId: string;
    state: string;
    instanceType: string;
    privateAddress: string | undefined;
    publicAddress: string | undefined;
  }[];
}

/** The plan's kept tests; Temporal is not asked. Changes nothing. */
export async function keptTestsOf(ec2: EC2Client, plan: string, now: Date): Promise<KeptTestStatus[]> {
  const found = Map.groupBy(await findKeptInstances(ec2, plan), ({ runId }) => runId);
  return [...found]
    .map(([runId, kept]) => {
      const until = kept.reduce((latest, one) => (one.until > latest ? one.until : latest), '');
      return {
        ...{ runId, until, overdue: Date.parse(until) <= now.getTime() },
        instances: kept
          .map(({ vm, instance }) => ({
            vm,
            instanceId: instance.InstanceId ?? '',
            state: instance.State?.Name ?? 'unknown',
            instanceType: instance.InstanceType ?? '',
            privateAddress: instance.PrivateIpAddress,
            publicAddress: instance.PublicIpAddress,
          }))
          .sort((a, b) => (a.vm < b.vm ? -1 : 1)),
      };
    })
    .sort((a, b) => (a.until < b.until ? -1 : 1));
}
