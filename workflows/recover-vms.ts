import { ApplicationFailure, CancellationScope, patched } from '@temporalio/workflow';
import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { type VmPlace } from '../activities/aws-proxy/readiness/contract';
import { type HostEntry } from '../guest/port';
import { type Firmware } from '../hypervisor/port';
import { startOrder } from '../plan/order';
import { type RunContext } from '../plan/run';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { volumesByDisk } from '../plan/recovery-site/volume-settings';
import { failoverVm, readyDetail, type RecoveredVm } from './failover-vm';
import { type FailoverVmRequest, plannedWay, type Way } from './failover-vm-request';
import { type HookSet, hooksOfVm } from './hooks';
import { type LeavingOut } from './leaving-out';
import { awsProxy } from './run/activities';
import { type Attention, type OnFailure } from './run/attention';
import { type Decisions } from './run/decisions';
import { inDependencyOrder } from './run/dependency-order';
import { NEEDS_ATTENTION } from './run/messages';
import { prepareAhead } from './run/prepare-ahead';
import { type RunProgress } from './run/run-status';
import { VmAhead } from './run/vm-ahead';
import { runVmChild, startVmChild } from './run/vm-child';
import { type ServedImages } from './served-images';
import { Turns } from './turns';

export interface Recovery {
  run: RunContext;
  plan: DrPlan;
  test: boolean;
  availabilityZone: string;
  drCopies: DrCopy[];
  /** Absent in runs of releases whose plans had one subnet. */
  places?: VmPlace[];
  onFailure: OnFailure;
  /** The run's own steps that a person may have to mend. */
  attention: Attention;
  progress: RunProgress;
  images: ServedImages;
  decisions: Decisions;
  leavingOut: LeavingOut;
  /** Absent where the plan has none. */
  hooks?: HookSet | undefined;
  /** Is told of each VM that is up; nothing waits for it. */
  onReady: (vm: RecoveredVm) => void;
}

/** Phases of a VM begun ahead that has all that can be made before its turn, or cannot have it without a person. */
const PREPARED: readonly (string | undefined)[] = ['waiting', NEEDS_ATTENTION];

/**
 * One child workflow a VM. Those that depend on none begin at once, in the plan's order; then the others are begun ahead, tier by
 * tier, so that images, volumes and shells are made while other VMs boot. Each goes on when all that it depends on is ready, or left out,
 * and people let it.
 * @returns the VMs that are up
 */
export async function recoverVms(recovery: Recovery): Promise<Map<string, RecoveredVm>> {
  if (!patched('begun ahead')) return recoverVmsInTurn(recovery);
  const { run, plan, attention, progress, images, onReady, leavingOut } = recovery;
  const requests = plan.vms.map((vm) => requestOf(recovery, vm));
  const by = (way: Way): FailoverVmRequest[] =>
    requests.filter(({ vm, drCopy }) => plannedWay(vm, drCopy) === way);
  const shells = await attention.step(() => shellImages(run, by('volumes')));
  const begun = new Map(
    requests.map((request) => {
      const { vm, drCopy } = request;
      const imageId = shells.get(drCopy.configuration.firmware);
      const start = (ahead: boolean) => {
        progress.vm(vm.name, ahead ? 'preparing' : 'launching');
        const without = ahead ? [] : leavingOut.neededBy(vm.name);
        const told = {
          ...{ ...request, imageId, ahead, toldByRun: true },
          ...(without.length === 0 ? {} : { without }),
        };
        return startVmChild(failoverVm, run, vm.name, summaryOf(recovery), told);
      };
      return [vm.name, new VmAhead(start)];
    }),
  );
  const of = (vm: string): VmAhead<RecoveredVm> => begun.get(vm) as VmAhead<RecoveredVm>;

  // Also those that take the longer way in the end: their images may have been registered.
  const withImage = new Set(by('launch copy').map(({ vm }) => vm.name));
  const preparing = new CancellationScope();
  const names = startOrder(plan).slice(1).flat();
  const isPrepared = (vm: string): boolean => PREPARED.includes(progress.phaseOf(vm));
  void preparing.run(() => prepareAhead({ names, of, isPrepared })).catch(() => undefined);
  const serve = async (vm: PlannedVm): Promise<RecoveredVm> => {
    if (of(vm.name).isAhead) progress.vm(vm.name, 'launching');
    const recovered = await of(vm.name).goOn(leavingOut.neededBy(vm.name));
    progress.end(vm.name, 'ready', readyDetail(recovered));
    if (withImage.has(vm.name)) images.add(vm.name);
    onReady(recovered);
    return recovered;
  };
  const giveUp = (vm: string): Promise<void> => of(vm).giveUp();
  try {
    // Runs that began before people could decide anything go on as they did.
    if (!patched('decisions')) return await inDependencyOrder(plan.vms, serve, ({ name }) => giveUp(name));
    const turns = new Turns(plan, recovery.decisions, leavingOut);
    leavingOut.begin(giveUp);
    const ended = await inDependencyOrder(
      plan.vms,
      (vm) =>
        leavingOut.unlessLeftOut(vm, async () => {
          if (turns.isHeld(vm)) {
            if (of(vm.name).untouched)
              void of(vm.name)
                .prepare()
                .catch(() => undefined);
            await turns.of(vm);
          }
          return serve(vm);
        }),
      ({ name }) => giveUp(name),
    );
    return upOf(ended, leavingOut);
  } finally {
    leavingOut.end();
    preparing.cancel();
  }
}

/** @throws ApplicationFailure where none is */
function upOf(
  ended: ReadonlyMap<string, RecoveredVm | undefined>,
  { vms: leftOut }: LeavingOut,
): Map<string, RecoveredVm> {
  const up = new Map<string, RecoveredVm>();
  for (const [name, recovered] of ended) if (recovered !== undefined) up.set(name, recovered);
  if (up.size === 0)
    throw ApplicationFailure.nonRetryable(
      `No VM of the plan is up: ${leftOut.map(({ vm, why }) => `${vm}: ${why}`).join('; ')}`,
      'VmsFailed',
    );
  return up;
}

/** The shell image of every firmware that VMs launched by volumes have: one look for all of them. */
async function shellImages(run: RunContext, byVolumes: FailoverVmRequest[]): Promise<Map<Firmware, string>> {
  const kinds = new Set(byVolumes.map(({ drCopy }) => drCopy.configuration.firmware));
  const images = new Map<Firmware, string>();
  for (const firmware of [...kinds].sort())
    images.set(firmware, (await awsProxy.ensureShellImage({ run, firmware })).imageId);
  return images;
}

/** What both ways tell a VM's child workflow. */
function requestOf(
  { run, plan, test, availabilityZone, drCopies, places = [], onFailure, hooks }: Recovery,
  vm: PlannedVm,
): FailoverVmRequest {
  const site = test ? plan.recoverySite.test : plan.recoverySite.production;
  const drCopy = drCopies.find((copy) => copy.vm === vm.name);
  if (drCopy === undefined)
    throw ApplicationFailure.nonRetryable(`There is no DR copy of ${vm.name}.`, 'NotReadyForFailover');
  const place = places.find((of) => of.vm === vm.name);
  const diskKeys = drCopy.disks.map(({ key }) => key);
  const volumes = volumesByDisk(plan, vm, test, diskKeys);
  const ofVm = hooksOfVm(hooks, vm.name);
  return {
    ...{ run, vm, site, test, drCopy },
    // Nobody is waited for where the application can do without it.
    onFailure: vm.optional === true ? 'undo' : onFailure,
    availabilityZone: place?.availabilityZone ?? availabilityZone,
    ...(place?.subnet === undefined ? {} : { fixedSubnet: place.subnet }),
    ...(Object.keys(volumes).length === 0 ? {} : { volumes }),
    ...(ofVm === undefined ? {} : { hooks: ofVm }),
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
