import {
  type BootScriptResult,
  type ConsoleEvidence,
  type InstanceAddresses,
} from '../activities/aws-proxy/launch/contract';
import { requireBootScript, requiresBootScript } from './boot-scripts';
import { type HookResult } from '../activities/hooks/contract';
import { Hooks, hookVm } from './hooks';
import { awsProxy } from './run/activities';
import { type FailoverVmRequest, plannedWay, type Way } from './failover-vm-request';
import { causeMessage, hasFailureType } from './run/failure-message';
import { Dependencies } from './dependencies';
import { LaunchAttempts } from './launch-tries';
import { LaunchedInstance } from './launched-instance';
import { LicensedInstance } from './licensed-instance';
import { PreparedVolumes } from './prepared-volumes';
import { RecoveryInstance } from './recovery-instance';
import { type RetryRequest } from './run/messages';
import { settling } from './run/settling';
import { reportPhase, vmAttention } from './run/vm-child';

/** A VM that runs, and answers, at the recovery site. */
export interface RecoveredVm extends InstanceAddresses {
  vm: string;
  instanceId: string;
  instanceType: string;
  availabilityZone: string;
  recoveryPoint: string;
  takenAt: string;
  launchedBy: Way;
  /** Seconds that it took to answer. */
  readySeconds: number;
  /** ISO 8601, UTC: when it answered, and the boot script that the plan requires had ended. */
  readyAt: string;
  /** How its boot scripts ended; absent where the plan has none for it. */
  bootScripts?: BootScriptResult[];
  /** What its console showed when it was up; absent in runs of earlier releases. */
  console?: ConsoleEvidence;
  /** What an operator should know of the guest although it runs; one sentence each. */
  warnings: string[];
  /** How the plan's hooks after it ended; absent where there are none. In a run's summary they are among the others. */
  hooks?: HookResult[];
}

/**
 * One VM at the recovery site. Where something fails that a person has to mend, what was made is kept, and the VM goes
 * on from there; otherwise the run, which knows all that it made, removes it.
 */
export async function failoverVm(request: FailoverVmRequest): Promise<RecoveredVm> {
  const { run, vm, onFailure } = request;
  const dependencies = new Dependencies(request);
  const attempts = new LaunchAttempts();
  const volumes = new PreparedVolumes(request, dependencies);
  const ways: Ways = { volumes, instance: new RecoveryInstance(request, attempts), warnings: [] };
  if (vm.licensedImage !== undefined)
    ways.licensed = new LicensedInstance(request, vm.licensedImage, dependencies, attempts, volumes);
  else if (plannedWay(vm, request.drCopy) === 'launch copy')
    ways.byCopy = new LaunchedInstance(request, dependencies, attempts);
  const hooks = new Hooks(run, request.hooks);
  const attention = vmAttention(run, vm.name, onFailure);
  const step = async (retry?: RetryRequest): Promise<RecoveredVm> => {
    if (retry?.instanceTypes) {
      ways.instance.useTypes(retry.instanceTypes);
      ways.byCopy?.useTypes(retry.instanceTypes);
      ways.licensed?.useTypes(retry.instanceTypes);
    }
    try {
      return await recover(request, ways, hooks);
    } catch (error) {
      if (hasFailureType(error, 'InstanceGone')) {
        // Its volumes went with it.
        ways.byCopy?.forget();
        ways.licensed?.forget();
        ways.instance.forget();
        ways.volumes.forget();
      } else if (hasFailureType(error, 'VolumeFailed')) {
        ways.volumes.forget();
        ways.licensed?.forgetVolumes();
      }
      throw error;
    }
  };
  return settling(() => attention.step(step));
}

/** The ways to an instance: from the plan's licensed image, where it has one; or by the launch copy; or by volumes and a shell. */
interface Ways {
  licensed?: LicensedInstance;
  byCopy?: LaunchedInstance;
  volumes: PreparedVolumes;
  instance: RecoveryInstance;
  /** What of the way an operator should know. */
  warnings: string[];
}

type BootedInstance = Pick<
  RecoveredVm,
  'instanceId' | 'instanceType' | 'availabilityZone' | 'launchedBy' | keyof InstanceAddresses
>;

/** What people are told of a VM that is ready. */
export const readyDetail = (vm: BootedInstance & Pick<RecoveredVm, 'readySeconds'>): string =>
  `${whereOf(vm)} after ${vm.readySeconds} s`;

const whereOf = ({ instanceId, instanceType, privateAddress }: BootedInstance): string =>
  `${instanceId} (${instanceType}) at ${privateAddress}`;

/** An instance that boots from the DR copy, and proof that it serves. */
async function recover(request: FailoverVmRequest, ways: Ways, hooks: Hooks): Promise<RecoveredVm> {
  const { run, vm, drCopy } = request;
  const booted =
    ways.licensed === undefined
      ? ((await launchByCopy(ways)) ?? (await launchByVolumes(request, ways)))
      : await launchLicensed(ways.licensed);
  const where = whereOf(booted);
  await reportPhase(vm.name, 'waiting until ready', where);
  const { seconds } = await awsProxy.waitUntilReady({
    run,
    vm: vm.name,
    instanceId: booted.instanceId,
    address: booted.privateAddress,
    probe: vm.readiness,
  });
  let bootScripts: BootScriptResult[] | undefined;
  if (requiresBootScript(vm)) {
    await reportPhase(vm.name, 'waiting for the boot script', `${vm.bootScript.name} on ${where}`);
    bootScripts = await requireBootScript(run, vm, booted.instanceId);
  }
  if (hooks.has('afterVmReady')) {
    await reportPhase(vm.name, 'running hooks', where);
    await hooks.require('afterVmReady', [hookVm({ vm: vm.name, ...booted })], vm.name);
  }
  const hookResults = hooks.results;
  if (!request.toldByRun)
    await reportPhase(vm.name, 'ready', readyDetail({ ...booted, readySeconds: seconds }));
  return {
    vm: vm.name,
    ...booted,
    recoveryPoint: drCopy.recoveryPoint,
    takenAt: drCopy.takenAt,
    readySeconds: seconds,
    readyAt: new Date().toISOString(),
    ...(bootScripts === undefined ? {} : { bootScripts }),
    ...(hookResults === undefined ? {} : { hooks: hookResults }),
    warnings: [
      ...(drCopy.notes ?? []),
      ...ways.volumes.warnings,
      ...(ways.licensed?.warnings ?? []),
      ...ways.warnings,
    ],
  };
}

/** What AWS bills comes with the image. */
async function launchLicensed(licensed: LicensedInstance): Promise<BootedInstance> {
  const { instanceId, instanceType, availabilityZone, privateAddress, publicAddress } = await licensed.boot();
  return {
    ...{ instanceId, instanceType, availabilityZone, privateAddress },
    ...(publicAddress === undefined ? {} : { publicAddress }),
    launchedBy: 'licensed image',
  };
}

/** The guest in the launch copy is adapted already. @returns undefined where there is none, or it is gone */
async function launchByCopy(ways: Ways): Promise<BootedInstance | undefined> {
  try {
    const launched = await ways.byCopy?.instance();
    return launched && { ...launched, launchedBy: 'launch copy' };
  } catch (error) {
    if (!hasFailureType(error, 'LaunchCopyGone')) throw error;
    ways.warnings.push(causeMessage(error));
    ways.byCopy = undefined;
    return undefined;
  }
}

/** Volumes from the DR copy, drivers into them, and an instance that boots from them. */
async function launchByVolumes(
  { run, vm, availabilityZone }: FailoverVmRequest,
  { volumes: prepared, instance }: Ways,
): Promise<BootedInstance> {
  // The shell is launched while the volumes are being made; when one fails, the other is not waited for.
  await reportPhase(vm.name, 'creating volumes');
  const [volumes, shell] = await Promise.all([prepared.volumes(), instance.shell()]);

  await reportPhase(vm.name, 'attaching volumes', shell.instanceId);
  await awsProxy.attachVolumes({ run, vm: vm.name, instanceId: shell.instanceId, volumes });

  return { ...(await instance.boot(shell, volumes)), availabilityZone, launchedBy: 'volumes' };
}
