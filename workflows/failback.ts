import {
  ApplicationFailure,
  CancellationScope,
  type ChildWorkflowHandle,
  condition,
  patched,
} from '@temporalio/workflow';
import { type VmConfiguration } from '../hypervisor/port';
import { bothNames, type PrimaryVm } from '../plan/primary-vm';
import { type RunContext } from '../plan/run';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { type AwsProxyActivities } from '../activities/aws-proxy/contract';
import { type InstanceAddresses } from '../activities/aws-proxy/launch/contract';
import { awsProxy, backupProxy, control } from './run/activities';
import { type OnFailure, requireOnFailure } from './run/attention';
import { begin, requirePhase, type RunRequest, take } from './run/begin';
import { compensating } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { moveDns, proveDns, returnDns } from './dns';
import { failbackVm, type FailedBackVm } from './failback-vm';
import { causeMessage } from './run/failure-message';
import { type FailbackGate, openGateSignal } from './run/messages';
import { allowRetries } from './run/retries';
import { RunProgress } from './run/run-status';
import { startVmChild } from './run/vm-child';
import { removeUnfinished, requireNoUndo, unfinishedFailbacksOf } from './unfinished-failbacks';

export interface FailbackRequest extends RunRequest {
  /** CPUs and memory of the VMs at home: those of the EC2 instances (default), or those they had before. */
  hardware?: 'instance' | 'original';
  /**
   * Where a person has to mend something while the instances still serve, a failback waits for it (the default), or
   * takes itself back. From the first stop on it always takes itself back, so that the instances serve again.
   */
  onFailure?: OnFailure;
}

export interface FailbackSummary {
  plan: string;
  vms: FailedBackVm[];
  /** Seconds in which the application did not serve: from the first instance's stop until DNS was home. */
  downtimeSeconds: number;
  /** What an operator should know of the primary site and of DNS, one sentence each; absent where there is nothing. */
  notes?: string[];
}

type RecoveryInstance = Awaited<ReturnType<AwsProxyActivities['readInstances']>>[number];
type VmChild = ChildWorkflowHandle<typeof failbackVm>;

/** Brings the application home into a data centre that may be brand new and empty. */
export async function failback(request: FailbackRequest): Promise<FailbackSummary> {
  const onFailure = requireOnFailure(request?.onFailure);
  const begun = await begin(request);
  const { plan } = begun;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  allowRetries(progress);
  requirePhase(begun, ['failed-over', 'failing-back'], 'fail back');
  requireNoUndo(begun);
  const unfinishedFailbacks = unfinishedFailbacksOf(begun);

  progress.phase('checking');
  const instances = await awsProxy.readInstances({ run: begun.run, plan });
  const names = new Map<string, PrimaryVm>(plan.vms.map((vm) => [vm.name, bothNames(vm)]));
  const namesOf = (vm: string): PrimaryVm => names.get(vm) ?? { vm };
  const vms = instances.map(({ vm, disks, original }) => ({
    ...namesOf(vm),
    disks: disks.map(({ key, sizeBytes }) => ({ key, sizeBytes })),
    configuration: original,
  }));
  const checked = await backupProxy.checkPrimarySite({ run: begun.run, vms, unfinishedFailbacks });

  const { run, results, downtimeSeconds, dns } = await compensating(async (compensations) => {
    const run = await take(begun, ['failed-over', 'failing-back'], 'failing-back');
    compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'failed-over' }));
    compensations.add('start the instances again', () => serveFromInstances(run, plan, instances));
    for (const { vm } of instances)
      compensations.add(`remove ${vm}'s template VM`, () =>
        backupProxy.removeTemplateVm({ run, ...namesOf(vm) }),
      );
    compensations.add('delete the failback snapshots', () => awsProxy.deleteFailbackSnapshots({ run }));
    if (unfinishedFailbacks.length > 0 && patched('removes what failbacks left')) {
      progress.phase('removing what an unfinished failback left');
      await removeUnfinished(run, unfinishedFailbacks, vms);
    }

    const { results, stoppedAt } = await bringVmsHome({
      run,
      plan,
      instances,
      progress,
      hardware: request.hardware,
      onFailure,
    });

    progress.phase('moving DNS');
    const dns = await returnDns(run, plan);
    const downtimeSeconds = Math.round((Date.now() - stoppedAt) / 100) / 10;
    await control.movePlanState({ run, to: 'failed-back', homeSince: new Date(stoppedAt).toISOString() });
    return { run, results, downtimeSeconds, dns };
  });

  // The application is home: whatever fails from here on takes nothing back.
  progress.phase('asking the name servers');
  const dnsNotes = await proveDns(plan, dns, 'primary site');
  await awsProxy.deleteFailbackSnapshots({ run });
  progress.phase('done');
  // Runs that began before there were notes have no answer here.
  const notes = [...((checked as typeof checked | undefined)?.notes ?? []), ...dnsNotes];
  return { plan: plan.name, vms: results, downtimeSeconds, ...(notes.length === 0 ? {} : { notes }) };
}

/** Takes a failback back: the instances run again, and DNS follows them, as a stop costs them their public address. */
export async function serveFromInstances(
  run: RunContext,
  plan: DrPlan,
  instances: RecoveryInstance[],
): Promise<void> {
  const addresses = new Map<string, InstanceAddresses>();
  for (const { vm, instanceId, instanceType } of instances)
    addresses.set(vm, await awsProxy.startInstance({ run, vm, instanceId, instanceType }));
  await moveDns(run, plan, addresses);
}

interface Homecoming {
  run: RunContext;
  plan: DrPlan;
  instances: RecoveryInstance[];
  progress: RunProgress;
  hardware?: 'instance' | 'original';
  onFailure: OnFailure;
}

/**
 * The VMs wait for each other three times: no instance stops before every VM's first copy is there; they stop in the
 * reverse of dependency order, so that nothing loses what it depends on while it works; they start in that order.
 */
async function bringVmsHome(homecoming: Homecoming): Promise<{ results: FailedBackVm[]; stoppedAt: number }> {
  const { run, plan, instances, progress } = homecoming;
  return CancellationScope.cancellable(async () => {
    progress.phase('copying while the instances serve');
    const children = new Map<string, VmChild>();
    for (const vm of plan.vms) {
      const instance = instances.find((candidate) => candidate.vm === vm.name);
      if (!instance)
        throw ApplicationFailure.nonRetryable(`There is no instance of ${vm.name}.`, 'InstanceNotFound');
      children.set(vm.name, await startFailback(homecoming, vm, instance));
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
  { run, plan, hardware, onFailure }: Homecoming,
  vm: PlannedVm,
  instance: RecoveryInstance,
): Promise<VmChild> {
  const { original } = instance;
  const configuration: Omit<VmConfiguration, 'disks'> =
    hardware === 'original'
      ? original
      : { ...original, cpus: instance.cpus, memoryMiB: instance.memoryMiB, firmware: instance.firmware };
  const { vm: name, instanceId, disks, notes } = instance;
  return startVmChild(failbackVm, run, name, 'Fail back', {
    ...{ run, vm, instanceId, configuration, disks, notes, onFailure },
    limit: plan.replication.limit,
  });
}

function childOf(children: ReadonlyMap<string, VmChild>, vm: string): VmChild {
  const child = children.get(vm);
  if (!child) throw ApplicationFailure.nonRetryable(`There is no child workflow of ${vm}.`, 'VmsFailed');
  return child;
}

/** The same VMs with every dependency turned round. */
const reversed = (vms: PlannedVm[]): PlannedVm[] =>
  vms.map((vm) => ({
    ...vm,
    dependsOn: vms.filter((other) => other.dependsOn.includes(vm.name)).map((other) => other.name),
  }));
