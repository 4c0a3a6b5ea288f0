import { ApplicationFailure, CancellationScope } from '@temporalio/workflow';
import { type DrCopy, type InstanceAddresses, type RecoveredVolume } from '../activities/aws-proxy/contract';
import { type HostEntry } from '../guest/port';
import { type RunContext } from '../plan/run';
import { type PlannedVm, type RecoverySubnet } from '../plan/schema';
import { awsProxy } from './activities';
import { hasFailureType } from './failure-message';
import { onProxyHost } from './proxy-host';
import { reportPhase } from './vm-child';

export interface FailoverVmRequest {
  run: RunContext;
  vm: PlannedVm;
  site: RecoverySubnet;
  test: boolean;
  availabilityZone: string;
  drCopy: DrCopy;
  /** Where this VM finds the VMs that it depends on. */
  hosts: HostEntry[];
}

/** A VM that runs, and answers, at the recovery site. */
export interface RecoveredVm extends InstanceAddresses {
  vm: string;
  instanceId: string;
  instanceType: string;
  recoveryPoint: string;
  takenAt: string;
  /** Seconds that it took to answer, and when it did (ISO 8601, UTC). */
  readySeconds: number;
  readyAt: string;
}

/**
 * One VM at the recovery site: volumes from the DR copy, drivers into them, an instance that boots from them, and
 * proof that it serves. What fails is removed by the run, which knows all that it made.
 */
export async function failoverVm(request: FailoverVmRequest): Promise<RecoveredVm> {
  const { run, vm, drCopy } = request;

  // The shell is launched while the volumes are being made; when one fails, the other is not waited for.
  await reportPhase(vm.name, 'creating volumes');
  const [volumes, shell] = await CancellationScope.cancellable(() =>
    Promise.all([prepareVolumes(request), launchShell(request, 0)]),
  );

  await reportPhase(vm.name, 'attaching volumes', shell.instanceId);
  await awsProxy.attachVolumes({ run, vm: vm.name, instanceId: shell.instanceId, volumes });

  const booted = await boot(request, shell, volumes);
  await reportPhase(
    vm.name,
    'waiting until ready',
    `${booted.instanceId} (${booted.instanceType}) at ${booted.privateAddress}`,
  );
  const { seconds } = await awsProxy.waitUntilReady({
    vm: vm.name,
    instanceId: booted.instanceId,
    address: booted.privateAddress,
    probe: vm.readiness,
  });
  await reportPhase(
    vm.name,
    'ready',
    `${booted.instanceId} (${booted.instanceType}) at ${booted.privateAddress} after ${seconds} s`,
  );
  return {
    vm: vm.name,
    ...booted,
    recoveryPoint: drCopy.recoveryPoint,
    takenAt: drCopy.takenAt,
    readySeconds: seconds,
    readyAt: new Date().toISOString(),
  };
}

/** Volumes from the DR copy, with the drivers that EC2 needs, names and boot scripts in the boot volume. */
async function prepareVolumes(request: FailoverVmRequest): Promise<RecoveredVolume[]> {
  const { run, vm, drCopy, test, availabilityZone, hosts } = request;
  const bootScripts = vm.bootScript ? [vm.bootScript] : [];
  return onProxyHost(async (host, attempt) => {
    // Injection may have begun on a host that died: it starts over on fresh volumes.
    const volumes = await awsProxy.createVolumes({
      run,
      vm: vm.name,
      attempt,
      drCopy,
      availabilityZone,
      test,
    });
    await reportPhase(vm.name, 'injecting drivers');
    await host.activities.injectDrivers({ run, vm: vm.name, volumes, bootScripts, hosts });
    return volumes;
  }, availabilityZone);
}

interface Shell {
  instanceId: string;
  instanceType: string;
}

/** An instance of the first type, from `first` on, for which AWS has capacity. */
async function launchShell(
  { run, vm, site, drCopy, test }: FailoverVmRequest,
  first: number,
): Promise<Shell> {
  const { imageId } = await awsProxy.ensureShellImage({ run, firmware: drCopy.configuration.firmware });
  for (const [index, instanceType] of vm.instanceTypes.entries()) {
    if (index < first) continue;
    try {
      const { instanceId } = await awsProxy.launchShell({
        run,
        vm: vm.name,
        attempt: index + 1,
        imageId,
        instanceType,
        subnet: site.subnet,
        securityGroups: site.securityGroups,
        publicAddress: site.publicAddress,
        // The fixed address belongs to the production subnet; a test may run beside it.
        privateAddress: test ? undefined : vm.privateAddress,
        recoveryPoint: drCopy.recoveryPoint,
        test,
      });
      return { instanceId, instanceType };
    } catch (error) {
      if (!hasFailureType(error, 'NoCapacity')) throw error;
      await reportPhase(vm.name, 'no capacity', instanceType);
    }
  }
  throw noCapacity(vm);
}

/** Starts the instance; where capacity went missing since the launch, the stopped instance changes its type. */
async function boot(
  request: FailoverVmRequest,
  shell: Shell,
  volumes: RecoveredVolume[],
): Promise<Shell & InstanceAddresses> {
  const { run, vm } = request;
  const { instanceId } = shell;
  const first = vm.instanceTypes.indexOf(shell.instanceType);
  for (const instanceType of vm.instanceTypes.slice(first)) {
    await reportPhase(vm.name, 'booting', `${instanceId} (${instanceType}), ${volumes.length} volumes`);
    try {
      return {
        instanceId,
        instanceType,
        ...(await awsProxy.startInstance({ run, vm: vm.name, instanceId, instanceType })),
      };
    } catch (error) {
      if (!hasFailureType(error, 'NoCapacity')) throw error;
    }
  }
  throw noCapacity(vm);
}

const noCapacity = (vm: PlannedVm): ApplicationFailure =>
  ApplicationFailure.nonRetryable(
    `AWS has no capacity for ${vm.name} in any of its types (${vm.instanceTypes.join(', ')}); add a type to the plan, or another subnet.`,
    'NoCapacity',
  );
