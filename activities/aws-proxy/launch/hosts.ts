import { ApplicationFailure } from '@temporalio/common';
import { type HostEntry } from '../../../guest/port';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { loadPlan } from '../../../repository/plans/plans';
import { namedDependencies } from '../account/launch-copy';
import { readInstance } from '../account/tags';
import { type InstancesOfRun } from './instances-of-run';

/** Where a VM of a failover finds those that it depends on: their host names, at their addresses of this run. */
export type HostLookup = (run: RunContext, vm: string) => Promise<HostEntry[]>;

/** States of an instance that is there, or will be again; what was taken away is listed for an hour yet. */
const THERE = new Set<string>(['pending', 'running', 'stopping', 'stopped']);

/**
 * Addresses come from the instances, and not with the request: what each VM of a large plan is told of all others would,
 * over all VMs, be more than a workflow may hold.
 */
export function hostLookup(
  instancesOf: InstancesOfRun,
  objectStore: (address: RepositoryAddress) => ObjectStore,
): HostLookup {
  /** Plans are as their digest says, so the last one need not be fetched again for each of its VMs. */
  let latest: { digest: string; plan: Promise<DrPlan> } | undefined;
  async function planOf({ repository, plan: name, digest }: RunContext): Promise<DrPlan> {
    if (latest?.digest !== digest)
      latest = { digest, plan: loadPlan(objectStore(repository), name, digest).then(({ plan }) => plan) };
    const asked = latest;
    try {
      return await asked.plan;
    } catch (error) {
      if (latest === asked) latest = undefined;
      throw error;
    }
  }

  return async (run, vm) => {
    const plan = await planOf(run);
    const named = namedDependencies(plan, vm);
    if (named.length === 0) return [];
    const latestOf = new Map<string, { attempt: number; address: string | undefined }>();
    for (const { Tags, State, PrivateIpAddress: address } of await instancesOf(run)) {
      const tags = readInstance(Tags);
      if (tags === undefined || !THERE.has(State?.Name ?? '')) continue;
      if (tags.attempt < (latestOf.get(tags.vm)?.attempt ?? 0)) continue;
      latestOf.set(tags.vm, { attempt: tags.attempt, address });
    }
    return named.map(({ name, hostNames: names }) => {
      const address = latestOf.get(name)?.address;
      if (address === undefined)
        throw ApplicationFailure.retryable(
          `${vm} depends on ${name}, of which no instance of this run is listed yet.`,
          'WrongState',
        );
      return { address, names };
    });
  };
}
