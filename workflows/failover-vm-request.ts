import { type DrCopy } from '../activities/aws-proxy/account/contract';
import { type LaunchActivities, type LaunchSite } from '../activities/aws-proxy/launch/contract';
import { type HostEntry } from '../guest/port';
import { type RunContext } from '../plan/run';
import { type PlannedVm, type RecoverySubnet } from '../plan/schema';
import { subnetsOf } from '../plan/recovery-site/subnets';
import { vmSite } from '../plan/recovery-site/vm-site';
import { type VolumesByDisk } from '../plan/recovery-site/volume-settings';
import { type HookSet } from './hooks';
import { type OnFailure } from './run/attention';

/**
 * `launch copy`: one launch of a guest adapted beforehand; `volumes`: adapted and put together in the failover; `licensed
 * image`: put onto an instance of the plan's licensed image, adapted beforehand or not.
 */
export type Way = 'launch copy' | 'volumes' | 'licensed image';

/** One VM of a failover: what it is made from, where, and what it finds there. */
export interface FailoverVmRequest {
  run: RunContext;
  vm: PlannedVm;
  /** The plan's; the VM may have values of its own. */
  site: RecoverySubnet;
  test: boolean;
  /** Where volumes are made. */
  availabilityZone: string;
  /** The one subnet that the VM can be in, where its address is fixed. */
  fixedSubnet?: string;
  drCopy: DrCopy;
  /** How the volumes of its disks are made; absent where the plan says nothing of them. */
  volumes?: VolumesByDisk;
  /** Where this VM finds the VMs that it depends on; only in runs of releases that began a VM when those were ready. */
  hosts?: HostEntry[];
  /** The shell image; absent in runs of those releases. */
  imageId?: string;
  /** Whether the VM is begun ahead, and waits for {@link dependenciesReadySignal} before its drivers are injected. */
  ahead?: boolean;
  /** VMs that it depends on and that are left out of the run; absent where none is, and where it is begun ahead. */
  without?: string[];
  /** Whether the run itself tells people that the VM begins, and is ready: a thousand VMs would signal it a thousand times. */
  toldByRun?: boolean;
  onFailure: OnFailure;
  /** The plan's hooks that run after it; absent where there are none. */
  hooks?: HookSet;
}

/** The subnets that the VM may be launched in, in order of preference. */
export function subnetsFor({ fixedSubnet, site, vm, test }: FailoverVmRequest): string[] {
  return fixedSubnet === undefined ? subnetsOf(vmSite(site, vm, test)) : [fixedSubnet];
}

/** How the VM's instance is connected there, and what it is given. */
export function networkOf({ site, vm, test }: FailoverVmRequest): Omit<LaunchSite, 'subnet'> {
  const { subnet: _, subnets: __, ...network } = vmSite(site, vm, test);
  return network;
}

/** What of the plan's the volumes of the VM are made with. */
export function volumesOf(request: FailoverVmRequest): Pick<FailoverVmRequest, 'volumes'> {
  return request.volumes === undefined ? {} : { volumes: request.volumes };
}

/** What an attempt at the VM's volumes is told, by whichever way. */
export function volumeRequest(
  request: FailoverVmRequest,
  attempt: number,
  availabilityZone: string,
): Parameters<LaunchActivities['createVolumes']>[0] {
  const { run, vm, drCopy, test } = request;
  const { tags } = networkOf(request);
  return {
    ...{ run, vm: vm.name, attempt, drCopy, availabilityZone, test },
    ...volumesOf(request),
    ...(tags === undefined ? {} : { tags }),
  };
}

/** How the VM's instance comes to be, where nothing has gone since the check: the licence first, then the shortest way. */
export function plannedWay(vm: PlannedVm, { launchCopy }: DrCopy): Way {
  if (vm.licensedImage !== undefined) return 'licensed image';
  return launchCopy === undefined ? 'volumes' : 'launch copy';
}
