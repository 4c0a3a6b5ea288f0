import { allDependencies } from './order';
import { type DrPlan, type PlannedVm } from './schema';

/** A VM whose host names another finds at its address. */
export interface NamedVm {
  vm: PlannedVm;
  names: string[];
  /**
   * Where its address is from: of a `dependency`, which runs by then, from its instance; of a `peer`, which may not be there yet, and
   * of the VM itself (`self`), which is not there yet, from the plan.
   */
  as: 'dependency' | 'peer' | 'self';
}

/**
 * The VMs whose host names a VM finds, in plan order: those that it depends on, directly or not, its peers, and itself, where the
 * plan fixes its address. What is made of this beforehand and what is told at a launch have to be in one order.
 */
export function namedVms(plan: Pick<DrPlan, 'vms'>, vm: string): NamedVm[] {
  const needed = allDependencies(vm, new Map(plan.vms.map((planned) => [planned.name, planned])));
  const peers = new Set(plan.vms.find(({ name }) => name === vm)?.peers);
  return plan.vms.flatMap((planned): NamedVm[] => {
    const { name, hostNames: names } = planned;
    if (names.length === 0) return [];
    if (needed.has(name)) return [{ vm: planned, names, as: 'dependency' }];
    if (peers.has(name)) return [{ vm: planned, names, as: 'peer' }];
    return name === vm && hasFixedAddress(planned) ? [{ vm: planned, names, as: 'self' }] : [];
  });
}

/** In production, in tests, or in both. */
function hasFixedAddress({ privateAddress, recoverySite }: PlannedVm): boolean {
  return [privateAddress, recoverySite?.production?.privateAddress, recoverySite?.test?.privateAddress].some(
    (address) => address !== undefined,
  );
}
