import { type EC2Client, type Instance } from '@aws-sdk/client-ec2';
import { type RunContext } from '../../../plan/run';
import { listInstances } from '../account/lookup';
import { Shared } from '../account/shared';
import { runValues, tagFilters } from '../account/tags';

/** All instances that carry a run's tags, those that were terminated within the hour among them. */
export type InstancesOfRun = (run: Pick<RunContext, 'plan' | 'runId'>) => Promise<Instance[]>;

/** One list for all VMs of a run that ask at the same time. */
export function instancesOfRun(ec2: EC2Client): InstancesOfRun {
  const lists = new Map<string, Shared<Instance[]>>();
  return async (run) => {
    const shared = lists.get(run.runId) ?? new Shared(() => listInstances(ec2, tagFilters(runValues(run))));
    lists.set(run.runId, shared);
    try {
      return await shared.get();
    } finally {
      if (shared.idle) lists.delete(run.runId);
    }
  };
}
