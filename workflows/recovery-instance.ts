import { ApplicationFailure } from '@temporalio/workflow';
import { type InstanceAddresses, type RecoveredVolume } from '../activities/aws-proxy/launch/contract';
import { awsProxy } from './run/activities';
import { hasFailureType } from './run/failure-message';
import { type FailoverVmRequest } from './failover-vm-request';
import { Kept } from './run/kept';
import { reportPhase } from './run/vm-child';

interface Shell {
  instanceId: string;
  instanceType: string;
}

/** The instance of one VM: launched once, as a shell without disks, of the first type for which AWS has capacity. */
export class RecoveryInstance {
  private types: string[];
  private readonly launched = new Kept(() => this.launch());
  private attempt = 0;
  /** An attempt that failed for another reason than capacity may have launched something all the same. */
  private doubtful: number | undefined;

  constructor(private readonly request: FailoverVmRequest) {
    this.types = request.vm.instanceTypes;
  }

  /** Tries these types from now on. */
  useTypes(types: string[]): void {
    this.types = types;
  }

  /** Launches the shell, or tells which was launched. */
  shell(): Promise<Shell> {
    return this.launched.get();
  }

  /** EC2 has taken the instance away; the next one is another. */
  forget(): void {
    this.launched.forget();
  }

  private async launch(): Promise<Shell> {
    const { run, vm, site, drCopy, test } = this.request;
    if (this.doubtful !== undefined)
      await awsProxy.discardShell({ run, vm: vm.name, attempt: this.doubtful });
    this.doubtful = undefined;
    const { firmware } = drCopy.configuration;
    const imageId = this.request.imageId ?? (await awsProxy.ensureShellImage({ run, firmware })).imageId;
    for (const instanceType of this.types) {
      this.attempt++;
      try {
        const { instanceId } = await awsProxy.launchShell({
          run,
          vm: vm.name,
          attempt: this.attempt,
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
        if (!hasFailureType(error, 'NoCapacity')) {
          this.doubtful = this.attempt;
          throw error;
        }
        await reportPhase(vm.name, 'no capacity', instanceType);
      }
    }
    throw this.noCapacity();
  }

  /** Starts the instance; where capacity went missing since the launch, the stopped instance changes its type. */
  async boot(shell: Shell, volumes: RecoveredVolume[]): Promise<Shell & InstanceAddresses> {
    const { run, vm } = this.request;
    const { instanceId } = shell;
    // Those before it had no capacity a moment ago. With other types than those of the launch, all are worth a try.
    const first = Math.max(0, this.types.indexOf(shell.instanceType));
    for (const instanceType of this.types.slice(first)) {
      await reportPhase(vm.name, 'booting', `${instanceId} (${instanceType}), ${volumes.length} volumes`);
      try {
        const addresses = await awsProxy.startInstance({ run, vm: vm.name, instanceId, instanceType });
        return { instanceId, instanceType, ...addresses };
      } catch (error) {
        if (!hasFailureType(error, 'NoCapacity')) throw error;
      }
    }
    throw this.noCapacity();
  }

  private noCapacity(): ApplicationFailure {
    return ApplicationFailure.nonRetryable(
      `AWS has no capacity for ${this.request.vm.name} in any of its types (${this.types.join(', ')}); try another type, or again later.`,
      'NoCapacity',
    );
  }
}
