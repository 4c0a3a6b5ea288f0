import { ApplicationFailure, patched } from '@temporalio/workflow';
import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { type HostEntry } from '../guest/port';
import { type Firmware } from '../hypervisor/port';
import { type RunContext } from '../plan/run';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { failoverVm, type RecoveredVm } from './failover-vm';
import { type FailoverVmRequest } from './failover-vm-request';
import { awsProxy } from './run/activities';
import { type Attention, type OnFailure } from './run/attention';
import { inDependencyOrder } from './run/dependency-order';
import { beginVmAhead, runVmChild, type VmAhead } from './run/vm-child';

export interface Recovery {
  run: RunContext;
  plan: DrPlan;
  test: boolean;
  availabilityZone: string;
  drCopies: DrCopy[];
  onFailure: OnFailure;
  /** The run's own steps that a person may have to mend. */
  attention: Attention;
}

/**
 * One child workflow a VM. All are begun at once, so that volumes and shells are made while other VMs boot; each goes on
 * when all that it depends on is ready.
 */
export async function recoverVms(recovery: Recovery): Promise<Map<string, RecoveredVm>> {
  if (!patched('begun ahead')) return recoverVmsInTurn(recovery);
  const { run, plan, test, availabilityZone, drCopies, onFailure, attention } = recovery;
  const site = test ? plan.recoverySite.test : plan.recoverySite.production;
  const images = await attention.step(() => shellImages(run, drCopies));
  const begun = new Map<string, VmAhead<RecoveredVm>>();
  const of = (vm: PlannedVm): VmAhead<RecoveredVm> => begun.get(vm.name) as VmAhead<RecoveredVm>;
  for (const vm of plan.vms) {
    const drCopy = drCopyOf(drCopies, vm);
    const request: FailoverVmRequest = {
      ...{ run, vm, site, test, availabilityZone, drCopy, onFailure },
      imageId: images.get(drCopy.configuration.firmware),
      ahead: vm.dependsOn.length > 0,
    };
    const summary = test ? 'Test failover' : 'Fail over';
    begun.set(vm.name, beginVmAhead(failoverVm, run, vm.name, summary, request));
  }
  return inDependencyOrder(
    plan.vms,
    (vm) => (vm.dependsOn.length > 0 ? of(vm).goOn() : of(vm).result),
    (vm) => of(vm).giveUp(),
  );
}

/** The shell image of every firmware that the VMs have: one look for all of them. */
async function shellImages(run: RunContext, drCopies: DrCopy[]): Promise<Map<Firmware, string>> {
  const kinds = new Set(drCopies.map(({ configuration }) => configuration.firmware));
  const images = new Map<Firmware, string>();
  for (const firmware of [...kinds].sort())
    images.set(firmware, (await awsProxy.ensureShellImage({ run, firmware })).imageId);
  return images;
}

function drCopyOf(drCopies: DrCopy[], { name }: PlannedVm): DrCopy {
  const found = drCopies.find(({ vm }) => vm === name);
  if (found === undefined)
    throw ApplicationFailure.nonRetryable(`There is no DR copy of ${name}.`, 'NotReadyForFailover');
  return found;
}

/** As earlier versions did, whose runs may still be under way: each is begun when all that it depends on is ready. */
function recoverVmsInTurn({
  run,
  plan,
  test,
  availabilityZone,
  drCopies,
  onFailure,
}: Recovery): Promise<Map<string, RecoveredVm>> {
  const site = test ? plan.recoverySite.test : plan.recoverySite.production;
  return inDependencyOrder(plan.vms, (vm, ready) => {
    const drCopy = drCopyOf(drCopies, vm);
    const hosts = hostEntries(plan, ready);
    return runVmChild(failoverVm, run, vm.name, test ? 'Test failover' : 'Fail over', {
      run,
      vm,
      site,
      test,
      availabilityZone,
      drCopy,
      hosts,
      onFailure,
    });
  });
}

/** Names under which a VM finds those that are up already, at their new addresses. */
function hostEntries(plan: DrPlan, ready: ReadonlyMap<string, RecoveredVm>): HostEntry[] {
  return plan.vms.flatMap((vm: PlannedVm) => {
    const recovered = ready.get(vm.name);
    return recovered && vm.hostNames.length > 0
      ? [{ address: recovered.privateAddress, names: vm.hostNames }]
      : [];
  });
}
