import { type InstanceAddresses } from '../activities/aws-proxy/launch/contract';
import { awsProxy } from './run/activities';
import { type FailoverVmRequest } from './failover-vm-request';
import { hasFailureType } from './run/failure-message';
import { Dependencies } from './dependencies';
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
  recoveryPoint: string;
  takenAt: string;
  /** Seconds that it took to answer, and when it did (ISO 8601, UTC). */
  readySeconds: number;
  readyAt: string;
  /** What an operator should know of the guest although it runs; one sentence each. */
  warnings: string[];
}

/**
 * One VM at the recovery site. Where something fails that a person has to mend, what was made is kept, and the VM goes
 * on from there; otherwise the run, which knows all that it made, removes it.
 */
export async function failoverVm(request: FailoverVmRequest): Promise<RecoveredVm> {
  const { run, vm, onFailure } = request;
  const dependencies = new Dependencies(request);
  const volumes = new PreparedVolumes(request, dependencies);
  const instance = new RecoveryInstance(request);
  const attention = vmAttention(run, vm.name, onFailure);
  const step = async (retry?: RetryRequest): Promise<RecoveredVm> => {
    if (retry?.instanceTypes) instance.useTypes(retry.instanceTypes);
    try {
      return await recover(request, volumes, instance);
    } catch (error) {
      if (hasFailureType(error, 'InstanceGone')) {
        // Its volumes went with it.
        instance.forget();
        volumes.forget();
      } else if (hasFailureType(error, 'VolumeFailed')) volumes.forget();
      throw error;
    }
  };
  return settling(() => attention.step(step));
}

/** Volumes from the DR copy, drivers into them, an instance that boots from them, and proof that it serves. */
async function recover(
  { run, vm, drCopy }: FailoverVmRequest,
  prepared: PreparedVolumes,
  instance: RecoveryInstance,
): Promise<RecoveredVm> {
  // The shell is launched while the volumes are being made; when one fails, the other is not waited for.
  await reportPhase(vm.name, 'creating volumes');
  const [volumes, shell] = await Promise.all([prepared.volumes(), instance.shell()]);

  await reportPhase(vm.name, 'attaching volumes', shell.instanceId);
  await awsProxy.attachVolumes({ run, vm: vm.name, instanceId: shell.instanceId, volumes });

  const booted = await instance.boot(shell, volumes);
  const where = `${booted.instanceId} (${booted.instanceType}) at ${booted.privateAddress}`;
  await reportPhase(vm.name, 'waiting until ready', where);
  const { seconds } = await awsProxy.waitUntilReady({
    vm: vm.name,
    instanceId: booted.instanceId,
    address: booted.privateAddress,
    probe: vm.readiness,
  });
  await reportPhase(vm.name, 'ready', `${where} after ${seconds} s`);
  return {
    vm: vm.name,
    ...booted,
    recoveryPoint: drCopy.recoveryPoint,
    takenAt: drCopy.takenAt,
    readySeconds: seconds,
    readyAt: new Date().toISOString(),
    warnings: [...(drCopy.notes ?? []), ...prepared.warnings],
  };
}
