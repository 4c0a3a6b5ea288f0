import { reversed } from '../plan/order';
import { bothNames } from '../plan/primary-vm';
import { type RunContext } from '../plan/run';
import { type PlannedVm } from '../plan/schema';
import { backupProxy } from './run/activities';
import { inDependencyOrder } from './run/dependency-order';
import { type RunProgress } from './run/run-status';

/** A VM that answers again at the site that it was brought back to. */
export interface ReadyVm {
  vm: string;
  readySeconds: number;
}

/** Starts VMs that are at the primary site, each when those that it depends on answer. One that runs is left running. */
export async function startAtHome(
  run: RunContext,
  vms: PlannedVm[],
  progress: RunProgress,
): Promise<ReadyVm[]> {
  const ready = await inDependencyOrder(vms, (vm) => startVmAtHome(run, vm, progress));
  return [...ready.values()];
}

/** Starts one that is at the primary site, and waits until it answers. One that runs is left running. */
export async function startVmAtHome(run: RunContext, vm: PlannedVm, progress: RunProgress): Promise<ReadyVm> {
  progress.vm(vm.name, 'starting', 'at the primary site');
  await backupProxy.startVm({ run, ...bothNames(vm) });
  const { seconds } = await backupProxy.waitUntilReady({
    ...bothNames(vm),
    address: vm.primaryAddress,
    probe: vm.readiness,
  });
  progress.vm(vm.name, 'ready', 'at the primary site');
  return { vm: vm.name, readySeconds: seconds };
}

/**
 * Stops VMs at the primary site whose writes are given up, those first that others do not depend on.
 * @returns a sentence for each whose power was taken
 */
export async function stopAtHome(
  run: RunContext,
  vms: PlannedVm[],
  progress: RunProgress,
): Promise<string[]> {
  const stopped = await inDependencyOrder(reversed(vms), async (vm) => {
    progress.vm(vm.name, 'stopping', 'at the primary site');
    const { how } = await backupProxy.stopVm({ run, ...bothNames(vm) });
    progress.vm(vm.name, 'off', 'at the primary site');
    return how;
  });
  return [...stopped].flatMap(([vm, how]) =>
    how === 'powered off' ? [`${vm} did not shut down at the primary site; its power was taken.`] : [],
  );
}
