import { ApplicationFailure, patched } from '@temporalio/workflow';
import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { type FixedPlace } from '../activities/aws-proxy/readiness/contract';
import { type HostEntry } from '../guest/port';
import { type Firmware } from '../hypervisor/port';
import { type RunContext } from '../plan/run';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { failoverVm, type RecoveredVm } from './failover-vm';
import { type FailoverVmRequest } from './failover-vm-request';
import { awsProxy } from './run/activities';
import { type Attention, type OnFailure } from './run/attention';
import { inDependencyOrder } from './run/dependency-order';
import { VmAhead } from './run/vm-ahead';
import { runVmChild, startVmChild } from './run/vm-child';

export interface Recovery {
  run: RunContext;
  plan: DrPlan;
  test: boolean;
  availabilityZone: string;
  drCopies: DrCopy[];
  /** Absent in runs of releases whose plans had one subnet. */
  places?: FixedPlace[];
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
  const { run, plan, drCopies, attention } = recovery;
  const images = await attention.step(() => shellImages(run, drCopies));
  const begun = new Map<string, VmAhead<RecoveredVm>>();
  const of = (vm: PlannedVm): VmAhead<RecoveredVm> => begun.get(vm.name) as VmAhead<RecoveredVm>;
  for (const vm of plan.vms) {
    const request = requestOf(recovery, vm);
    const imageId = images.get(request.drCopy.configuration.firmware);
    const ahead = vm.dependsOn.length > 0;
    const begin = () =>
      startVmChild(failoverVm, run, vm.name, summaryOf(recovery), { ...request, imageId, ahead });
    begun.set(vm.name, new VmAhead(begin));
  }
  return inDependencyOrder(
    plan.vms,
    (vm) => (vm.dependsOn.length > 0 ? of(vm).goOn() : of(vm).result),
    (vm) => of(vm).giveUp(),
  );
}

/** The shell image of every firmware that VMs without a launch copy have: one look for all of them. */
async function shellImages(run: RunContext, drCopies: DrCopy[]): Promise<Map<Firmware, string>> {
  const byVolumes = drCopies.filter(({ launchCopy }) => launchCopy === undefined);
  const kinds = new Set(byVolumes.map(({ configuration }) => configuration.firmware));
  const images = new Map<Firmware, string>();
  for (const firmware of [...kinds].sort())
    images.set(firmware, (await awsProxy.ensureShellImage({ run, firmware })).imageId);
  return images;
}

/** What both ways tell a VM's child workflow. */
function requestOf(
  { run, plan, test, availabilityZone, drCopies, places = [], onFailure }: Recovery,
  vm: PlannedVm,
): FailoverVmRequest {
  const site = test ? plan.recoverySite.test : plan.recoverySite.production;
  const drCopy = drCopies.find((copy) => copy.vm === vm.name);
  if (drCopy === undefined)
    throw ApplicationFailure.nonRetryable(`There is no DR copy of ${vm.name}.`, 'NotReadyForFailover');
  const place = places.find((fixed) => fixed.vm === vm.name);
  return {
    ...{ run, vm, site, test, drCopy, onFailure },
    availabilityZone: place?.availabilityZone ?? availabilityZone,
    ...(place === undefined ? {} : { fixedSubnet: place.subnet }),
  };
}

const summaryOf = ({ test }: Recovery): string => (test ? 'Test failover' : 'Fail over');

/** As earlier versions did, whose runs may still be under way: each is begun when all that it depends on is ready. */
function recoverVmsInTurn(recovery: Recovery): Promise<Map<string, RecoveredVm>> {
  const { run, plan } = recovery;
  return inDependencyOrder(plan.vms, (vm, ready) =>
    runVmChild(failoverVm, run, vm.name, summaryOf(recovery), {
      ...requestOf(recovery, vm),
      hosts: hostEntries(plan, ready()),
    }),
  );
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
