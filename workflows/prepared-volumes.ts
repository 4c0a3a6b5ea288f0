import { type RecoveredVolume } from '../activities/aws-proxy/contract';
import { awsProxy, control } from './run/activities';
import { type FailoverVmRequest } from './failover-vm-request';
import { hasFailureType } from './run/failure-message';
import { Kept } from './run/kept';
import { onProxyHost } from './run/proxy-host';
import { reportPhase } from './run/vm-child';

/** Volumes that AWS may let go to the state `error` before the VM's step fails. */
const VOLUME_ATTEMPTS = 3;

/** Volumes from the DR copy, with the drivers that EC2 needs, names and boot scripts in the boot volume; made once. */
export class PreparedVolumes {
  private readonly kept = new Kept(() => this.make());
  /** Volumes of one attempt are the same for every try of it; those of earlier attempts go when the last are attached. */
  private attempt = 1;

  constructor(private readonly request: FailoverVmRequest) {}

  /** Makes the volumes, or tells which were made. */
  volumes(): Promise<RecoveredVolume[]> {
    return this.kept.get();
  }

  /** They went with their instance; the next ones are others. */
  forget(): void {
    this.kept.forget();
    this.attempt++;
  }

  private async make(): Promise<RecoveredVolume[]> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.makeOnce();
      } catch (error) {
        if (!hasFailureType(error, 'VolumeFailed')) throw error;
        this.attempt++;
        if (failures === VOLUME_ATTEMPTS) throw error;
        // A volume also goes where another run has taken over, and removes what this one made. A test holds no state.
        if (!this.request.test) await control.checkPlanState({ run: this.request.run });
      }
    }
  }

  private makeOnce(): Promise<RecoveredVolume[]> {
    const { run, vm, drCopy, test, availabilityZone, hosts } = this.request;
    const bootScripts = vm.bootScript ? [vm.bootScript] : [];
    return onProxyHost(async (host, hostAttempt) => {
      // Injection may have begun on a host that died: it starts over on fresh volumes.
      if (hostAttempt > 1) this.attempt++;
      const volumes = await awsProxy.createVolumes({
        run,
        vm: vm.name,
        attempt: this.attempt,
        drCopy,
        availabilityZone,
        test,
      });
      await reportPhase(vm.name, 'injecting drivers');
      await host.activities.injectDrivers({ run, vm: vm.name, volumes, bootScripts, hosts });
      return volumes;
    }, availabilityZone);
  }
}
