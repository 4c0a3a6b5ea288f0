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
import { someOf } from '../plan/some-of';
import { type AwsProxyActivities } from '../activities/aws-proxy/contract';
import { type BackupProxyActivities, type SurvivorDisk } from '../activities/backup-proxy/contract';
import { type InstanceAddresses } from '../activities/aws-proxy/launch/contract';
import { awsProxy, backupProxy, control } from './run/activities';
import { type OnFailure, requireOnFailure } from './run/attention';
import { begin, requirePhase, type RunRequest, take } from './run/begin';
import { compensating, type Compensations } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { moveDns, proveDns, returnDns } from './dns';
import { failbackVm, type FailedBackVm } from './failback-vm';
import { causeMessage } from './run/failure-message';
import { planWithout } from '../plan/without';
import { Decisions } from './run/decisions';
import { type Approval, type FailbackGate, type Gate, openGateSignal } from './run/messages';
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
  /** Makes new VMs although there are some of their names at home: those are kept under other names. */
  replace?: boolean;
}

export interface FailbackSummary {
  plan: string;
  vms: FailedBackVm[];
  /** Seconds in which the application did not serve: from the first instance's stop until DNS was home. */
  downtimeSeconds: number;
  /** What an operator should know of the primary site and of DNS, one sentence each; absent where there is nothing. */
  notes?: string[];
  /** VMs that the failover had left out, and that are not brought home; absent where there is none. */
  leftOut?: string[];
  /** What people approved; absent where nothing was to be. */
  approvals?: Approval[];
}

type RecoveryInstance = Awaited<ReturnType<AwsProxyActivities['readInstances']>>[number];
type VmChild = ChildWorkflowHandle<typeof failbackVm>;

/** Brings the application home: into a data centre that may be brand new and empty, or to the VMs that survived there. */
export async function failback(request: FailbackRequest): Promise<FailbackSummary> {
  const onFailure = requireOnFailure(request?.onFailure);
  const begun = await begin(request);
  // What the failover left out is nowhere to be brought home from.
  const leftOut = begun.without;
  const plan = planWithout(begun.plan, new Set(leftOut));
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  allowRetries(progress);
  const decisions = new Decisions(progress);
  requirePhase(begun, ['failed-over', 'failing-back'], 'fail back');
  requireNoUndo(begun);
  const unfinishedFailbacks = unfinishedFailbacksOf(begun);

  progress.phase('checking');
  const instances = await awsProxy.readInstances({ run: begun.run, plan });
  const names = new Map<string, PrimaryVm>(plan.vms.map((vm) => [vm.name, bothNames(vm)]));
  const namesOf = (vm: string): PrimaryVm => names.get(vm) ?? { vm };
  const vms = instances.map(({ vm, disks, original, excludedDisks }) => ({
    ...namesOf(vm),
    disks: disks.map(({ key, sizeBytes, boot }) => ({ key, sizeBytes, boot })),
    configuration: original,
    ...(excludedDisks === undefined ? {} : { excludedDisks }),
  }));
  const checked = await backupProxy.checkPrimarySite({
    ...{ run: begun.run, vms },
    unfinishedFailbacks,
    survivors: request.replace === true ? 'replace' : 'use',
  });
  const there = vmsThatAreThere(checked, unfinishedFailbacks);

  const { run, results, downtimeSeconds, dns } = await compensating(async (compensations) => {
    compensations.tell();
    const run = await take(begun, ['failed-over', 'failing-back'], 'failing-back');
    compensations.add("give the plan's state back", () => control.movePlanState({ run, to: 'failed-over' }));
    compensations.add('start the instances again', () => serveFromInstances(run, plan, instances));
    for (const { vm } of instances) takeBackAtHome(compensations, run, namesOf(vm), there);
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
      there,
      decisions,
    });

    if (plan.dns?.approval === true) {
      progress.phase('all VMs are home; DNS waits for approval');
      await decisions.pass({ dns: true }, 'return DNS to the primary site');
    }
    progress.phase('moving DNS');
    const dns = await returnDns(run, begun.plan);
    const downtimeSeconds = Math.round((Date.now() - stoppedAt) / 100) / 10;
    await control.movePlanState({ run, to: 'failed-back', homeSince: new Date(stoppedAt).toISOString() });
    return { run, results, downtimeSeconds, dns };
  });

  // The application is home: whatever fails from here on takes nothing back.
  progress.phase('asking the name servers');
  const dnsNotes = await proveDns(begun.plan, dns, 'primary site');
  await awsProxy.deleteFailbackSnapshots({ run });
  for (const vm of there.survived) await backupProxy.dropVmHold({ run, ...namesOf(vm) });
  progress.phase(leftOut.length === 0 ? 'done' : `done without ${someOf(leftOut)}`);
  // Runs that began before there were notes have no answer here.
  const notes = [...((checked as typeof checked | undefined)?.notes ?? []), ...dnsNotes];
  return {
    ...{ plan: plan.name, vms: results, downtimeSeconds },
    ...(notes.length === 0 ? {} : { notes }),
    ...(leftOut.length === 0 ? {} : { leftOut }),
    ...(decisions.approvals.length === 0 ? {} : { approvals: decisions.approvals }),
  };
}

/** What is at home under the VMs' names. */
interface VmsThatAreThere {
  /** VMs that are as their last backups know them. */
  survived: ReadonlySet<string>;
  /** By VM: what another of its name is to be called. */
  asides: ReadonlyMap<string, string>;
  /** Runs that have left half a copy in what they hold. */
  unfinishedFailbacks: string[];
}

/** Workers of earlier releases answer without either, or with nothing at all. */
function vmsThatAreThere(
  checked: Awaited<ReturnType<BackupProxyActivities['checkPrimarySite']>> | undefined,
  unfinishedFailbacks: string[],
): VmsThatAreThere {
  return {
    survived: new Set(checked?.survived),
    asides: new Map(checked?.setAside?.map(({ vm, aside }) => [vm, aside])),
    unfinishedFailbacks,
  };
}

/** A VM that survived is given back as it was; any other was made, and goes, and what had its name has it again. */
function takeBackAtHome(
  compensations: Compensations,
  run: RunContext,
  names: PrimaryVm,
  { survived, asides }: VmsThatAreThere,
): void {
  if (survived.has(names.vm)) {
    compensations.add(`give ${names.vm} back as it was`, () => backupProxy.revertVm({ run, ...names }));
    return;
  }
  const aside = asides.get(names.vm);
  if (aside !== undefined)
    compensations.add(`give the VM ${aside} its name back`, () =>
      backupProxy.bringVmBack({ run, ...names, aside }),
    );
  compensations.add(`remove ${names.vm}'s template VM`, () =>
    backupProxy.removeTemplateVm({ run, ...names }),
  );
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
  there: VmsThatAreThere;
  decisions: Decisions;
}

/**
 * The VMs wait for each other three times: no instance stops before every VM's first copy is there; they stop in the
 * reverse of dependency order, so that nothing loses what it depends on while it works; they start in that order.
 */
async function bringVmsHome(homecoming: Homecoming): Promise<{ results: FailedBackVm[]; stoppedAt: number }> {
  const { run, plan, instances, progress, decisions } = homecoming;
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
  { run, plan, hardware, onFailure, there }: Homecoming,
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
