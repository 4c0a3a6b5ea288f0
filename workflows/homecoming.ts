import {
  ApplicationFailure,
  CancellationScope,
  type ChildWorkflowHandle,
  condition,
} from '@temporalio/workflow';
import { type VmConfiguration } from '../hypervisor/port';
import { type RunContext } from '../plan/run';
import { reversed } from '../plan/order';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { type AwsProxyActivities } from '../activities/aws-proxy/contract';
import { type SurvivorDisk } from '../activities/backup-proxy/contract';
import { type HookSet, hooksOfVm } from './hooks';
import { control } from './run/activities';
import { type OnFailure } from './run/attention';
import { type Decisions } from './run/decisions';
import { inDependencyOrder } from './run/dependency-order';
import { causeMessage } from './run/failure-message';
import { type FailbackGate, type Gate, openGateSignal } from './run/messages';
import { type RunProgress } from './run/run-status';
import { startVmChild } from './run/vm-child';
import { failbackVm, type FailedBackVm } from './failback-vm';
import { type VmsThatAreThere } from './vms-that-are-there';

/** An instance that is to be brought home, with what the VM had there. */
export type RecoveryInstance = Awaited<ReturnType<AwsProxyActivities['readInstances']>>[number];
type VmChild = ChildWorkflowHandle<typeof failbackVm>;

interface Homecoming {
  run: RunContext;
  plan: DrPlan;
  instances: RecoveryInstance[];
  progress: RunProgress;
  hardware?: 'instance' | 'original';
  onFailure: OnFailure;
  there: VmsThatAreThere;
  decisions: Decisions;
  /** Absent where the plan has none. */
  hooks: HookSet | undefined;
}

/** @throws ApplicationFailure InstanceNotFound */
export function instanceOf<T extends { vm: string }>(instances: readonly T[], vm: string): T {
  const instance = instances.find((candidate) => candidate.vm === vm);
  if (instance !== undefined) return instance;
  throw ApplicationFailure.nonRetryable(`There is no instance of ${vm}.`, 'InstanceNotFound');
}

/**
 * The VMs wait for each other three times: no instance stops before every VM's first copy is there; they stop in the
 * reverse of dependency order, so that nothing loses what it depends on while it works; they start in that order.
 */
export async function bringVmsHome(
  homecoming: Homecoming,
): Promise<{ results: FailedBackVm[]; stoppedAt: number }> {
  const { run, plan, instances, progress, decisions } = homecoming;
  return CancellationScope.cancellable(async () => {
    progress.phase('copying while the instances serve');
    const children = new Map<string, VmChild>();
    for (const vm of plan.vms) {
      children.set(vm.name, await startFailback(homecoming, vm, instanceOf(instances, vm.name)));
    }
    // A VM that fails ends the run: half an application at home is of no use.
    const failure = Promise.all(
      [...children].map(async ([vm, child]) =>
        child.result().catch((error: unknown) => {
          throw ApplicationFailure.nonRetryable(`${vm}: ${causeMessage(error)}`, 'VmsFailed');
        }),
      ),
    );
    const reached = (vm: string, phase: string): Promise<void> =>
      Promise.race([condition(() => progress.phaseOf(vm) === phase), failure]).then(() => undefined);
    const open = (vm: string, gate: FailbackGate): Promise<void> =>
      childOf(children, vm).signal(openGateSignal, gate);

    await Promise.all(plan.vms.map((vm) => reached(vm.name, 'copied')));
    const gate: Gate | undefined = plan.approval?.cutOver === true ? { cutOver: true } : undefined;
    if (gate !== undefined || decisions.isPaused) {
      progress.phase('all disks are copied; the instances serve on');
      await Promise.race([decisions.pass(gate, 'stop the instances and go home'), failure]);
    }
    decisions.refusePauses(
      'The instances are being stopped, or are: to wait now would be an outage. Cancel it, or let it end.',
    );
    await control.checkPlanState({ run });

    progress.phase('stopping the instances');
    const stoppedAt = Date.now();
    await inDependencyOrder(reversed(plan.vms), async (vm) => {
      await open(vm.name, 'cutOver');
      await reached(vm.name, 'stopped');
    });

    progress.phase('copying what changed');
    await Promise.all(plan.vms.map((vm) => open(vm.name, 'copyChanges')));
    await Promise.all(plan.vms.map((vm) => reached(vm.name, 'complete')));

    progress.phase('starting the VMs');
    await inDependencyOrder(plan.vms, async (vm) => {
      await open(vm.name, 'start');
      await Promise.race([childOf(children, vm.name).result(), failure]);
    });
    return { results: await failure, stoppedAt };
  });
}

function startFailback(
  { run, plan, hardware, onFailure, there, hooks }: Homecoming,
  vm: PlannedVm,
  instance: RecoveryInstance,
): Promise<VmChild> {
  const { original } = instance;
  const configuration: Omit<VmConfiguration, 'disks'> =
    hardware === 'original'
      ? original
      : { ...original, cpus: instance.cpus, memoryMiB: instance.memoryMiB, firmware: instance.firmware };
  const { vm: name, instanceId, disks, notes, recoveryPoint = '' } = instance;
  const aside = there.asides.get(name);
  const ofVm = hooksOfVm(hooks, name);
  const compared = disks.map(({ key, copySnapshotId }) => [
    key,
    { recoveryPoint, ...(copySnapshotId === undefined ? {} : { copySnapshotId }) },
  ]);
  const survivor = {
    unfinishedFailbacks: there.unfinishedFailbacks,
    disks: Object.fromEntries(compared) as Record<string, SurvivorDisk>,
  };
  return startVmChild(failbackVm, run, name, 'Fail back', {
    ...{ run, vm, instanceId, configuration, disks, notes, onFailure },
    limit: plan.replication.limit,
    ...(there.survived.has(name) ? { survivor } : {}),
    ...(aside === undefined ? {} : { aside }),
    ...(ofVm === undefined ? {} : { hooks: ofVm }),
  });
}

function childOf(children: ReadonlyMap<string, VmChild>, vm: string): VmChild {
  const child = children.get(vm);
  if (!child) throw ApplicationFailure.nonRetryable(`There is no child workflow of ${vm}.`, 'VmsFailed');
  return child;
}
