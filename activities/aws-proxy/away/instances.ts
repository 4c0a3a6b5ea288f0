import { type EC2Client } from '@aws-sdk/client-ec2';
import { type DrPlan } from '../../../plan/schema';
import { findInstances, instanceOf, newestRun } from '../failback/recovery-instances';
import { type AwayActivities } from './contract';

type AwayInstances = Awaited<ReturnType<AwayActivities['readAwayInstances']>>;

/** The instances of the plan's newest failover. One VM's being missing keeps no other from being protected. */
export async function readAwayInstances(ec2: EC2Client, plan: DrPlan): Promise<AwayInstances> {
  const newest = newestRun(await findInstances(ec2, plan.name));
  const found: AwayInstances = { instances: [], problems: [] };
  for (const { name: vm } of plan.vms) {
    const one = instanceOf(newest, vm);
    if (typeof one === 'string') found.problems.push({ vm, problem: one });
    else found.instances.push({ vm, instanceId: one.instance.InstanceId });
  }
  return found;
}
