import { allDependencies } from './order';
import { type DrPlan } from './schema';
import { unknownVm } from './unknown-vm';
import { planWithout } from './without';

/**
 * The plan as far as it is about some VMs and what they depend on.
 * @throws Error where the plan has not all of them
 */
export function partOf(plan: DrPlan, vms: readonly string[]): DrPlan {
  const byName = new Map(plan.vms.map((vm) => [vm.name, vm]));
  const names = [...byName.keys()];
  const unknown = vms.find((vm) => !byName.has(vm));
  if (unknown !== undefined) throw new Error(unknownVm(unknown, names));
  const wanted = new Set(vms.flatMap((vm) => [vm, ...allDependencies(vm, byName)]));
  return planWithout(plan, new Set(names.filter((name) => !wanted.has(name))));
}
