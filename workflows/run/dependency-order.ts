import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import { allDependencies } from '../../plan/order';
import { type PlannedVm } from '../../plan/schema';
import { causeMessage } from './failure-message';

/**
 * Runs `start` once for each VM as soon as all that it depends on is done. A VM whose dependency failed is never
 * started; the others go on as far as they can, and then one failure names every VM that failed or was left out.
 * @returns the results in the order of `vms`
 * @param start gets the VM, and what tells the results of the VMs that it depends on, directly or not
 * @param leaveOut what becomes of a VM that is never started
 */
export async function inDependencyOrder<T>(
  vms: PlannedVm[],
  start: (vm: PlannedVm, ready: () => ReadonlyMap<string, T>) => Promise<T>,
  leaveOut?: (vm: PlannedVm) => Promise<void>,
): Promise<Map<string, T>> {
  const done = new Map<string, T>();
  const runs = new Map<string, Promise<void>>();
  const byName = new Map(vms.map((vm) => [vm.name, vm]));
  const problems: string[] = [];
  const failed = new Set<string>();

  const ended = new SharedWaits((name) => {
    const vm = byName.get(name);
    return vm === undefined ? Promise.resolve() : run(vm);
  });
  const run = (vm: PlannedVm): Promise<void> => {
    const known = runs.get(vm.name);
    if (known) return known;
    const begun = (async () => {
      await ended.all(vm.dependsOn);
      const missing = vm.dependsOn.filter((name) => failed.has(name));
      if (missing.length > 0) {
        failed.add(vm.name);
        problems.push(`${vm.name}: not started, as ${missing.join(', ')} failed`);
        await leaveOut?.(vm);
        return;
      }
      try {
        const ready = (): ReadonlyMap<string, T> => {
          const needed = allDependencies(vm.name, byName);
          return new Map([...done].filter(([name]) => needed.has(name)));
        };
        done.set(vm.name, await start(vm, ready));
      } catch (error) {
        if (isCancellation(error)) throw error;
        failed.add(vm.name);
        problems.push(`${vm.name}: ${causeMessage(error)}`);
      }
    })();
    runs.set(vm.name, begun);
    return begun;
  };

  await CancellationScope.cancellable(() => Promise.all(vms.map(run)));
  if (problems.length > 0) throw ApplicationFailure.nonRetryable(problems.join('\n'), 'VmsFailed');
  // People look for their VMs in the plan's order, not in that of their ends.
  const inPlan = vms.map(({ name }) => name);
  return new Map([...done].sort(([one], [other]) => inPlan.indexOf(one) - inPlan.indexOf(other)));
}

/**
 * Waits for the ends of several VMs. Those who wait for the same ones share one wait: VMs of a tier all depend on the tier before,
 * and a wait for each of these pairs is one of the things that make a workflow task of four tiers of 250 VMs take more than the five
 * seconds that it may. It is not the only one: such a plan cannot be failed over yet (docs/performance.md).
 */
export class SharedWaits {
  private readonly waits = new Map<string, Promise<unknown>>();

  /** @param end of a VM, by its name */
  constructor(private readonly end: (name: string) => Promise<void>) {}

  all(names: readonly string[]): Promise<unknown> {
    // Names of VMs have no comma.
    const key = names.join();
    const wait = this.waits.get(key) ?? Promise.all(names.map(this.end));
    this.waits.set(key, wait);
    return wait;
  }
}
