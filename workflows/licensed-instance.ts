import { type InstanceAddresses, type RecoveredVolume } from '../activities/aws-proxy/launch/contract';
import { type Dependencies, leftOutOf } from './dependencies';
import { type FailoverVmRequest, subnetsFor, volumeRequest } from './failover-vm-request';
import { type Launch, type LaunchAttempts, type Launched, LaunchTries } from './launch-tries';
import { type PreparedVolumes, untilNoVolumeFails } from './prepared-volumes';
import { bootShell } from './recovery-instance';
import { awsProxy } from './run/activities';
import { causeMessage, hasFailureType } from './run/failure-message';
import { Kept } from './run/kept';
import { reportPhase } from './run/vm-child';

interface LicensedShell {
  instanceId: string;
  availabilityZone: string;
  attempt: number;
}

/**
 * The instance of a VM whose plan names an image that AWS bills a licence for. It is launched from that image as a shell, and
 * its root is then the VM's boot volume: by EC2's own exchange on the running instance where the VM has no other disk; by hand
 * on the stopped one where it has, since the image's guest must not see the VM's data, and where EC2's exchange has failed.
 */
export class LicensedInstance {
  private readonly tries: LaunchTries<LicensedShell>;
  private readonly volumesByCopy = new Kept(() => this.makeByCopy());
  private volumeAttempt = 1;
  private byLaunchCopy: boolean;
  private exchangeFailed = false;
  /** Whether an instance whose root could not be exchanged has the VM's volumes: its guest is not to be stopped by force. */
  private attached = false;
  readonly warnings: string[] = [];

  constructor(
    private readonly request: FailoverVmRequest,
    private readonly imageId: string,
    private readonly dependencies: Dependencies,
    attempts: LaunchAttempts,
    private readonly prepared: PreparedVolumes,
  ) {
    this.byLaunchCopy = request.drCopy.launchCopy !== undefined;
    this.tries = new LaunchTries(request, attempts, (first) => this.launch(first), {
      // Volumes that are adapted on a proxy are made in the first zone.
      subnets: () => subnetsFor(request).slice(0, this.byLaunchCopy ? undefined : 1),
      // Nothing but its own root is on it before it has come to be.
      launchedByCopy: false,
    });
  }

  /** Tries these types from now on. */
  useTypes(types: string[]): void {
    this.tries.useTypes(types);
  }

  /** EC2 has taken the instance away, and its volumes with it; the next ones are others. */
  forget(): void {
    this.tries.forget();
    this.forgetVolumes();
    this.exchangeFailed = false;
    this.attached = false;
  }

  forgetVolumes(): void {
    this.volumesByCopy.forget();
    this.volumeAttempt++;
  }

  /** Makes what is missing of it, and boots it; harmless to ask for again. */
  async boot(): Promise<LicensedShell & Launched<InstanceAddresses>> {
    const { run, vm } = this.request;
    const [shell, volumes] = await this.shellAndVolumes();
    const { instanceId } = shell;
    if (this.byExchange) {
      await reportPhase(vm.name, 'replacing the root volume', instanceId);
      try {
        await awsProxy.replaceRootVolume({ run, vm: vm.name, instanceId, volumes });
      } catch (error) {
        if (hasFailureType(error, 'RootReplacementFailed')) this.exchangeFailed = true;
        throw error;
      }
    } else {
      await reportPhase(vm.name, 'attaching volumes', instanceId);
      // Nothing on it is to be spared before it has the VM's volumes.
      if (this.exchangeFailed && !this.attached)
        await awsProxy.stopInstance({ run, vm: vm.name, instanceId, force: true });
      await awsProxy.attachVolumes({ run, vm: vm.name, instanceId, volumes });
      this.attached = true;
    }
    return { ...shell, ...(await bootShell(this.request, this.tries, shell, volumes)) };
  }

  /** EC2's exchange is of the root alone. */
  private get byExchange(): boolean {
    return this.request.drCopy.disks.length === 1 && !this.exchangeFailed;
  }

  private async shellAndVolumes(): Promise<[Launched<LicensedShell>, RecoveredVolume[]]> {
    if (!this.byLaunchCopy) return this.shellAndPreparedVolumes();
    const shell = await this.tries.get();
    try {
      return [shell, await this.volumesByCopy.get()];
    } catch (error) {
      if (!hasFailureType(error, 'LaunchCopyGone')) throw error;
      await this.leaveLaunchCopy(shell);
      this.warnings.push(causeMessage(error));
      return this.shellAndPreparedVolumes();
    }
  }

  /** When one fails, the other is not waited for. */
  private shellAndPreparedVolumes(): Promise<[Launched<LicensedShell>, RecoveredVolume[]]> {
    return Promise.all([this.tries.get(), this.prepared.volumes()]);
  }

  /** The shell may be in another zone than the volumes that are adapted on a proxy. */
  private async leaveLaunchCopy({ attempt }: LicensedShell): Promise<void> {
    const { run, vm } = this.request;
    await awsProxy.discardShell({ run, vm: vm.name, attempt });
    this.byLaunchCopy = false;
    this.tries.forget();
  }

  /**
   * One that is left running is launched when all that the VM depends on is ready: until its root is exchanged, a guest of the
   * image's runs, at the VM's address. One that is stopped can be there before.
   */
  private async launch(
    first: (launch: Launch<LicensedShell>) => Promise<Launched<LicensedShell>>,
  ): Promise<Launched<LicensedShell>> {
    const { vm, drCopy } = this.request;
    const { imageId, byLaunchCopy } = this;
    const leave = drCopy.disks.length === 1 ? ('running' as const) : ('stopped' as const);
    if (byLaunchCopy || leave === 'running') await this.dependencies.ready();
    return first(async (launch) => {
      const { attempt, instanceType, subnet } = launch;
      await reportPhase(vm.name, 'launching', `${instanceType} in ${subnet} from ${imageId}`);
      const { recoveryPoint } = drCopy;
      const asked = {
        ...{ ...launch, imageId, recoveryPoint, leave, byLaunchCopy },
        ...leftOutOf(this.dependencies),
      };
      return { ...(await awsProxy.launchLicensedShell(asked)), attempt };
    });
  }

  /** In the zone where the instance is. */
  private makeByCopy(): Promise<RecoveredVolume[]> {
    return untilNoVolumeFails(
      this.request,
      async () => {
        const { availabilityZone } = await this.tries.get();
        await reportPhase(this.request.vm.name, 'creating volumes', availabilityZone);
        const asked = volumeRequest(this.request, this.volumeAttempt, availabilityZone);
        return awsProxy.createVolumes({ ...asked, byLaunchCopy: true });
      },
      () => this.volumeAttempt++,
    );
  }
}
