import { ApplicationFailure } from '@temporalio/common';
import { type HostEntry } from '../../../guest/port';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type NamedVm, namedVms } from '../../../plan/named-vms';
import { type DrPlan } from '../../../plan/schema';
import { vmSite } from '../../../plan/recovery-site/vm-site';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { loadPlan } from '../../../repository/plans/plans';
import { readInstance } from '../account/tags';
import { type InstancesOfRun } from './instances-of-run';

/**
 * Where a VM of a failover finds those that it has to find by name, and itself: their host names, at their addresses of this run.
 * @param test whether the run is a test, whose fixed addresses are others; undefined where who asks does not know of any
 * @param without VMs that it depends on, and that are left out of the run: nobody is at the address of theirs
 */
export type HostLookup = (
  run: RunContext,
  vm: string,
  test?: boolean,
  without?: readonly string[],
) => Promise<HostEntry[]>;

/** Where a VM is to find itself that has no fixed address in this run: as in hosts.ts of its guest. */
const OWN_ADDRESS = '127.0.1.1';

/**
 * Where a VM finds one that is left out of the run: an address for documents (RFC 5737), which nobody has and nothing routes. A
 * name without any address would be asked of the recovery site's name servers, which may lead home.
 */
const NOBODY = '192.0.2.1';

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

  return async (run, vm, test, without = []) => {
    const plan = await planOf(run);
    const named = namedVms(plan, vm).filter(({ as }) => as === 'dependency' || test !== undefined);
    if (named.length === 0) return [];
    const latestOf = new Map<string, { attempt: number; address: string | undefined }>();
    // What the plan fixes need not be asked for.
    const asked = named.some(({ as }) => as === 'dependency');
    for (const { Tags, State, PrivateIpAddress: address } of asked ? await instancesOf(run) : []) {
      const tags = readInstance(Tags);
      if (tags === undefined || !THERE.has(State?.Name ?? '')) continue;
      if (tags.attempt < (latestOf.get(tags.vm)?.attempt ?? 0)) continue;
      latestOf.set(tags.vm, { attempt: tags.attempt, address });
    }
    return named.map((one) => {
      const { names, as } = one;
      if (as === 'self') return { address: fixedAddress(plan, one, test) ?? OWN_ADDRESS, names, self: true };
      const address = as === 'peer' ? fixedAddress(plan, one, test) : latestOf.get(one.vm.name)?.address;
      if (as === 'dependency' && without.includes(one.vm.name)) return { address: NOBODY, names };
      if (address !== undefined) return { address, names };
      // The plan's check refuses peers without.
      if (as === 'peer')
        throw ApplicationFailure.nonRetryable(
          `${vm} is to find ${one.vm.name} by name, which has no fixed address; give it a privateAddress in the plan.`,
          'InvalidRequest',
        );
      throw ApplicationFailure.retryable(
        `${vm} depends on ${one.vm.name}, of which no instance of this run is listed yet.`,
        'WrongState',
      );
    });
  };
}

function fixedAddress(plan: DrPlan, { vm }: NamedVm, test = false): string | undefined {
  return vmSite(test ? plan.recoverySite.test : plan.recoverySite.production, vm, test).privateAddress;
}
