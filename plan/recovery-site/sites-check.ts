import { addressProblem } from '../address-problem';
import { type PlanProblem } from '../plan-error';
import { repeated } from '../repeated';
import { type PlanFile } from '../schema';
import { MAXIMUM_TAGS } from './site-schema';
import { subnetsOf } from './subnets';
import { unknownVm } from '../unknown-vm';
import { fixedAddresses, overridesOf, vmSite } from './vm-site';
import { diskKeysOf, mergedVolumeSettings, volumeLayers } from './volume-settings';
import { volumeProblems } from './volume-types';

/** What a schema cannot see of the recovery site's values, and of those that VMs have in their place. */
export function checkSites(plan: PlanFile): PlanProblem[] {
  return [
    ...lists(plan),
    ...testSubnets(plan),
    ...addresses(plan),
    ...tags(plan),
    ...volumes(plan),
    ...peers(plan),
  ];
}

type Vm = PlanFile['vms'][number];
type SiteName = 'production' | 'test';
const SITES: SiteName[] = ['production', 'test'];

/** The plan's own values of a site and the VMs', each with where it stands. */
function valuesOf(plan: PlanFile, site: SiteName) {
  return [
    { path: ['recoverySite', site] as PropertyKey[], values: plan.recoverySite[site] },
    ...plan.vms.map((vm, index) => ({
      path: ['vms', index, 'recoverySite', site] as PropertyKey[],
      values: overridesOf(vm, site === 'test'),
    })),
  ];
}

function* lists(plan: PlanFile): Generator<PlanProblem> {
  for (const site of SITES)
    for (const { path, values } of valuesOf(plan, site)) {
      const entries = (field: 'subnets' | 'securityGroups') =>
        (values[field] ?? []).map((value, position) => ({ path: [...path, field, position], value }));
      yield* repeated(entries('subnets'), (subnet) => `${subnet} is in the list already`);
      yield* repeated(entries('securityGroups'), (group) => `${group} is listed twice; take one out`);
    }
}

function* testSubnets(plan: PlanFile): Generator<PlanProblem> {
  const production = new Set(valuesOf(plan, 'production').flatMap(({ values }) => subnetsOf(values)));
  for (const { path, values } of valuesOf(plan, 'test')) {
    const shared = subnetsOf(values).findIndex((subnet) => production.has(subnet));
    if (shared >= 0)
      yield {
        path: [...path, ...(values.subnets === undefined ? ['subnet'] : ['subnets', shared])],
        message: `${subnetsOf(values)[shared]} is the production subnet, too; a test failover needs a subnet of its own, cut off from it`,
      };
  }
}

/** Where the VM's first fixed address stands in the plan. */
function privateAddressPath(vm: Vm, index: number, site: SiteName): PropertyKey[] {
  return overridesOf(vm, site === 'test').privateAddress === undefined
    ? ['vms', index, 'privateAddress']
    : ['vms', index, 'recoverySite', site, 'privateAddress'];
}

function* addresses(plan: PlanFile): Generator<PlanProblem> {
  for (const site of SITES) {
    const test = site === 'test';
    const ofVms = plan.vms.map((vm, index) => {
      const { privateAddress, secondaryAddresses = [] } = vmSite(plan.recoverySite[site], vm, test);
      const first =
        privateAddress === undefined
          ? []
          : [{ path: privateAddressPath(vm, index, site), value: privateAddress }];
      const others = secondaryAddresses.map((value, position) => ({
        path: ['vms', index, 'recoverySite', site, 'secondaryAddresses', position],
        value,
      }));
      return [...first, ...others];
    });
    for (const { path, value } of ofVms.flat()) {
      const message = addressProblem(value);
      if (message !== undefined) yield { path, message };
    }
    for (const all of ofVms)
      yield* repeated(all, (address) => `${address} is given to the VM twice; take one out`);
    yield* repeated(
      ofVms.flatMap((all) => [...new Map(all.map((one) => [one.value, one])).values()]),
      (address) =>
        `two VMs want the address ${address} in the ${test ? 'test' : 'recovery'} subnet; give each its own`,
    );
    for (const [index, vm] of plan.vms.entries()) {
      const path = ['vms', index, 'recoverySite', site];
      const own = overridesOf(vm, test);
      if (!test && own.privateAddress !== undefined && vm.privateAddress !== undefined)
        yield {
          path: [...path, 'privateAddress'],
          message: 'is the same setting as the privateAddress of the VM; take one of the two out',
        };
      if (
        own.secondaryAddresses !== undefined &&
        own.privateAddress === undefined &&
        (test || vm.privateAddress === undefined)
      )
        yield {
          path: [...path, 'secondaryAddresses'],
          message: 'needs a privateAddress beside it, the first of the network card',
        };
    }
  }
}

function* tags(plan: PlanFile): Generator<PlanProblem> {
  for (const site of SITES)
    for (const [index, vm] of plan.vms.entries()) {
      const count = Object.keys(vmSite(plan.recoverySite[site], vm, site === 'test').tags ?? {}).length;
      if (count > MAXIMUM_TAGS)
        yield {
          path: ['vms', index, 'recoverySite', site, 'tags'],
          message: `makes ${count} tags together with the recovery site's; a resource can have ${MAXIMUM_TAGS} of a plan's`,
        };
    }
}

function* volumes(plan: PlanFile): Generator<PlanProblem> {
  const told = new Set<string>();
  for (const site of SITES) {
    const test = site === 'test';
    for (const [index, vm] of plan.vms.entries())
      for (const key of [undefined, ...diskKeysOf(vm, test)]) {
        const layers = volumeLayers(plan, vm, test, key, index);
        for (const { field, message } of volumeProblems(mergedVolumeSettings(layers))) {
          // Where the field was said last, or else whatever made it needed.
          const said = layers.findLast(({ settings }) => settings[field] !== undefined) ?? layers.at(-1);
          const path = [...(said?.path ?? []), field];
          const id = JSON.stringify([path, message]);
          if (!told.has(id)) yield { path, message };
          told.add(id);
        }
      }
  }
}

/** A VM that is not started before another cannot be told where that one is, unless the plan says it. */
function* peers(plan: PlanFile): Generator<PlanProblem> {
  const names = plan.vms.map(({ name }) => name);
  for (const [index, vm] of plan.vms.entries())
    for (const [position, name] of (vm.peers ?? []).entries()) {
      const path = ['vms', index, 'peers', position];
      const peer = plan.vms.find((other) => other.name === name);
      if (peer === undefined) yield { path, message: unknownVm(name, names) };
      else if (peer === vm) yield { path, message: `"${name}" is this VM itself; take this entry out` };
      else if (peer.hostNames.length === 0)
        yield { path, message: `"${name}" has no hostNames that it could be found by; give it some` };
      else
        for (const site of SITES)
          if (fixedAddresses(vmSite(plan.recoverySite[site], peer, site === 'test')).length === 0)
            yield {
              path,
              message:
                `"${vm.name}" cannot know where "${name}" is, as it does not wait for it: ` +
                `give "${name}" recoverySite.${site}.privateAddress, or make "${vm.name}" depend on it`,
            };
    }
}
