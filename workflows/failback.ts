import { patched } from '@temporalio/workflow';
import { independently } from '../plan/order';
import { bothNames, type PrimaryVm } from '../plan/primary-vm';
import { type RunContext } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { someOf } from '../plan/some-of';
import { unfinishedFailbacksOf } from '../plan/unfinished-failbacks';
import { planWithout } from '../plan/without';
import { type HookResult } from '../activities/hooks/contract';
import { type InstanceAddresses } from '../activities/aws-proxy/launch/contract';
import { awsProxy, backupProxy, control } from './run/activities';
import { type OnFailure, requireOnFailure } from './run/attention';
import { begin, requirePhase, type RunRequest, take } from './run/begin';
import { compensating } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { moveDns, proveDns, returnDns } from './dns';
import { Hooks, hooksOf } from './hooks';
import { leavingEvidence, type WithEvidence } from './evidence';
import { type FailedBackVm } from './failback-vm';
import { bringVmsHome, instanceOf, type RecoveryInstance } from './homecoming';
import { Decisions } from './run/decisions';
import { type Approval } from './run/messages';
import { allowRetries } from './run/retries';
import { RunProgress } from './run/run-status';
import { seconds } from './run/seconds';
import { removeUnfinished, requireNoUndo } from './unfinished-failbacks';
import { dropHolds, takeBackAtHome, vmsThatAreThere } from './vms-that-are-there';

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

export interface FailbackSummary extends WithEvidence {
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
  /** How the plan's hooks ended; absent where there were none. */
  hooks?: HookResult[];
}

/** Brings the application home: into a data centre that may be brand new and empty, or to the VMs that survived there. */
export function failback(request: FailbackRequest): Promise<FailbackSummary> {
  return leavingEvidence('failback', request, () => failBack(request));
}

async function failBack(request: FailbackRequest): Promise<FailbackSummary> {
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
  const unfinishedFailbacks = unfinishedFailbacksOf(begun.state);

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

  const ofPlan = hooksOf(plan, 'failback');
  const atHome = plan.vms.map(({ name: vm, primaryAddress: address }) => ({ vm, address }));

  const { run, results, downtimeSeconds, dns, hooks } = await compensating(async (compensations) => {
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
      hooks: ofPlan,
    });
    const hooks = new Hooks(run, ofPlan);
    if (hooks.has('afterReady')) {
      progress.phase('running hooks: all VMs are home');
      await hooks.require('afterReady', atHome);
    }

    if (plan.dns?.approval === true) {
      progress.phase('all VMs are home; DNS waits for approval');
      await decisions.pass({ dns: true }, 'return DNS to the primary site');
    }
    progress.phase('moving DNS');
    const dns = await returnDns(run, begun.plan);
    const downtimeSeconds = seconds(Date.now() - stoppedAt);
    await control.movePlanState({ run, to: 'failed-back', homeSince: new Date(stoppedAt).toISOString() });
    return { run, results, downtimeSeconds, dns, hooks };
  });

  // The application is home: whatever fails from here on takes nothing back.
  progress.phase('asking the name servers');
  let dnsNotes: string[];
  let stillHeld: string[];
  try {
    dnsNotes = await proveDns(begun.plan, dns, 'primary site');
  } finally {
    stillHeld = await dropHolds(run, [...there.survived].map(namesOf));
  }
  await awsProxy.deleteFailbackSnapshots({ run });
  if (hooks.has('afterDns')) {
    progress.phase('running hooks: DNS has moved');
    await hooks.runAll('afterDns', atHome);
  }
  const hookResults = [...results.flatMap((vm) => vm.hooks ?? []), ...(hooks.results ?? [])];
  progress.phase(leftOut.length === 0 ? 'done' : `done without ${someOf(leftOut)}`);
  // Runs that began before there were notes have no answer here.
  const notes = [...((checked as typeof checked | undefined)?.notes ?? []), ...dnsNotes, ...stillHeld];
  return {
    ...{ plan: plan.name, vms: results.map(({ hooks: _, ...vm }) => vm), downtimeSeconds },
    ...(notes.length === 0 ? {} : { notes }),
    ...(leftOut.length === 0 ? {} : { leftOut }),
    ...(decisions.approvals.length === 0 ? {} : { approvals: decisions.approvals }),
    ...(hookResults.length === 0 ? {} : { hooks: hookResults }),
  };
}

/** Takes a failback back: the instances run again, and DNS follows them, as a stop costs them their public address. */
export async function serveFromInstances(
  run: RunContext,
  plan: DrPlan,
  instances: RecoveryInstance[],
): Promise<void> {
  const addresses = new Map<string, InstanceAddresses>();
  const start = async ({ vm, instanceId, instanceType }: RecoveryInstance): Promise<void> => {
    addresses.set(vm, await awsProxy.startInstance({ run, vm, instanceId, instanceType }));
  };
  if (patched('serve again side by side')) {
    // Nobody's readiness is waited for: what was stopped together comes back together, as after a power cut.
    await inDependencyOrder(independently(plan.vms), ({ name }) => start(instanceOf(instances, name)));
  } else for (const instance of instances) await start(instance);
  await moveDns(run, plan, addresses);
}
