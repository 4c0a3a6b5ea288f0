import { type PlannedDnsRecord } from './dns-record';
import { vmsOf } from './record-vms';
import { allDependencies } from './order';
import { type DrPlan } from './schema';

/**
 * The plan as far as it is about the other VMs: those that depended on one that is left out wait for what that one depended on,
 * and the records of its own are gone, and those of several lead to the others; `dns` is absent where none is left.
 * @param left names of VMs; where there is none, the plan itself is the answer
 */
export function planWithout(plan: DrPlan, left: ReadonlySet<string>): DrPlan {
  if (left.size === 0) return plan;
  const byName = new Map(plan.vms.map((vm) => [vm.name, vm]));
  const { dns, ...rest } = plan;
  const records = (dns?.records ?? []).flatMap((record) => recordWithout(record, left));
  return {
    ...rest,
    vms: plan.vms
      .filter(({ name }) => !left.has(name))
      .map((vm) => {
        if (!vm.dependsOn.some((name) => left.has(name))) return vm;
        const needed = allDependencies(vm.name, byName);
        return {
          ...vm,
          dependsOn: plan.vms.map(({ name }) => name).filter((name) => needed.has(name) && !left.has(name)),
        };
      }),
    ...(dns === undefined || records.length === 0 ? {} : { dns: { ...dns, records } }),
  };
}

function recordWithout(record: PlannedDnsRecord, left: ReadonlySet<string>): PlannedDnsRecord[] {
  const all = vmsOf(record);
  const others = all.filter((vm) => !left.has(vm));
  if (others.length === all.length) return [record];
  return others.length === 0 ? [] : [{ ...record, vms: others }];
}

/** Names of the VMs that depend on this one, directly or not, in plan order. */
export function dependentsOf(plan: Pick<DrPlan, 'vms'>, name: string): string[] {
  const byName = new Map(plan.vms.map((vm) => [vm.name, vm]));
  return plan.vms.filter((vm) => allDependencies(vm.name, byName).has(name)).map((vm) => vm.name);
}
