import { type RecoveredVolume } from '../activities/aws-proxy/launch/contract';
import { type Dependencies, leftOutOf } from './dependencies';
import { awsProxy, control } from './run/activities';
import { type FailoverVmRequest, volumeRequest } from './failover-vm-request';
import { hasFailureType } from './run/failure-message';
import { Kept } from './run/kept';
import { onProxyHost, type ProxyHost } from './run/proxy-host';
import { reportPhase } from './run/vm-child';

/** Volumes that AWS may let go to the state `error` before the VM's step fails. */
const VOLUME_ATTEMPTS = 3;

/**
 * Makes a VM's volumes, and others where AWS lets one go to the state `error`.
 * @param next makes the next attempt another than this one, whose client tokens would give the same volumes again
 */
export async function untilNoVolumeFails(
  { run, test }: FailoverVmRequest,
  make: () => Promise<RecoveredVolume[]>,
  next: () => void,
): Promise<RecoveredVolume[]> {
  for (let failures = 1; ; failures++) {
    try {
      return await make();
    } catch (error) {
      if (!hasFailureType(error, 'VolumeFailed')) throw error;
      next();
      if (failures === VOLUME_ATTEMPTS) throw error;
      // A volume also goes where another run has taken over, and removes what this one made. A test holds no state.
      if (!test) await control.checkPlanState({ run });
    }
  }
}

/** Volumes from the DR copy, with the drivers that EC2 needs, names and boot scripts in the boot volume; made once. */
export class PreparedVolumes {
  private readonly kept = new Kept(() => this.make());
  /** Volumes of one attempt are the same for every try of it; those of earlier attempts go when the last are attached. */
  private attempt = 1;
  private told: string[] = [];

  constructor(
    private readonly request: FailoverVmRequest,
    private readonly dependencies: Dependencies,
  ) {}

  /** Makes the volumes, or tells which were made. */
  volumes(): Promise<RecoveredVolume[]> {
    return this.kept.get();
  }

  /** What the adaptation of the guest had to tell. */
  get warnings(): string[] {
    return this.told;
  }

  /** They went with their instance; the next ones are others. */
  forget(): void {
    this.kept.forget();
    this.attempt++;
  }

  private make(): Promise<RecoveredVolume[]> {
    return untilNoVolumeFails(
      this.request,
      () => this.makeOnce(),
      () => this.attempt++,
    );
  }

  private makeOnce(): Promise<RecoveredVolume[]> {
    return this.request.ahead === true ? this.makeAhead() : this.onProxyHost();
  }

  /** What may take its time is done while the VMs boot that this one depends on; their addresses come with them. */
  private async makeAhead(): Promise<RecoveredVolume[]> {
    const made = await this.create();
    await this.dependencies.ready();
    return this.onProxyHost(made);
  }

  private onProxyHost(made?: RecoveredVolume[]): Promise<RecoveredVolume[]> {
    return onProxyHost(async (host, hostAttempt) => {
      // Injection may have begun on a host that died: it starts over on fresh volumes.
      if (hostAttempt > 1) this.attempt++;
      const volumes = hostAttempt === 1 && made !== undefined ? made : await this.create();
      await this.inject(host, volumes);
      return volumes;
    }, this.request.availabilityZone);
  }

  private create(): Promise<RecoveredVolume[]> {
    const { request, attempt } = this;
    return awsProxy.createVolumes(volumeRequest(request, attempt, request.availabilityZone));
  }

  private async inject(host: ProxyHost, volumes: RecoveredVolume[]): Promise<void> {
    const { run, vm, hosts, test } = this.request;
    const bootScripts = vm.bootScript ? [vm.bootScript] : [];
    await reportPhase(vm.name, 'injecting drivers');
    const adapted = await host.activities.injectDrivers({
      ...{ run, vm: vm.name, volumes, bootScripts, hosts, test },
      ...leftOutOf(this.dependencies),
    });
    // Absent in what a worker of an earlier release answered.
    this.told = adapted.warnings ?? [];
  }
}
