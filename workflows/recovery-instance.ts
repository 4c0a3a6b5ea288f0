import { type InstanceAddresses, type RecoveredVolume } from '../activities/aws-proxy/launch/contract';
import { awsProxy } from './run/activities';
import { hasFailureType } from './run/failure-message';
import { type FailoverVmRequest, subnetsFor } from './failover-vm-request';
import { type Launch, type LaunchAttempts, type Launched, LaunchTries } from './launch-tries';
import { reportPhase } from './run/vm-child';

type Shell = Launched<{ instanceId: string }>;

/** The instance of one VM: launched once, as a shell without disks, of the first type for which AWS has capacity. */
export class RecoveryInstance {
  private readonly tries: LaunchTries<{ instanceId: string }>;

  constructor(
    private readonly request: FailoverVmRequest,
    attempts: LaunchAttempts,
  ) {
    this.tries = new LaunchTries(request, attempts, (first) => this.launch(first), {
      // Its volumes are made in one zone.
      subnets: () => subnetsFor(request).slice(0, 1),
      launchedByCopy: false,
    });
  }

  /** Tries these types from now on. */
  useTypes(types: string[]): void {
    this.tries.useTypes(types);
  }

  /** Launches the shell, or tells which was launched. */
  shell(): Promise<Shell> {
    return this.tries.get();
  }

  /** EC2 has taken the instance away; the next one is another. */
  forget(): void {
    this.tries.forget();
  }

  private async launch(first: (launch: Launch<{ instanceId: string }>) => Promise<Shell>): Promise<Shell> {
    const { run, drCopy } = this.request;
    const { firmware } = drCopy.configuration;
    const imageId = this.request.imageId ?? (await awsProxy.ensureShellImage({ run, firmware })).imageId;
    const { recoveryPoint } = drCopy;
    return first((launch) => awsProxy.launchShell({ ...launch, imageId, recoveryPoint }));
  }

  /** Starts the instance; where capacity went missing since the launch, the stopped instance changes its type. */
  boot(shell: Shell, volumes: RecoveredVolume[]): Promise<Shell & InstanceAddresses> {
    return bootShell(this.request, this.tries, shell, volumes);
  }
}

/** Starts a shell that has its volumes, or tells the addresses of one that runs; of another type where there is no capacity. */
export async function bootShell<T extends { instanceId: string }>(
  { run, vm }: FailoverVmRequest,
  tries: LaunchTries<T>,
  shell: Shell,
  volumes: RecoveredVolume[],
): Promise<Shell & InstanceAddresses> {
  const { instanceId } = shell;
  for (const instanceType of tries.typesFrom(shell.instanceType)) {
    await reportPhase(vm.name, 'booting', `${instanceId} (${instanceType}), ${volumes.length} volumes`);
    try {
      const addresses = await awsProxy.startInstance({ run, vm: vm.name, instanceId, instanceType });
      return { instanceId, instanceType, ...addresses };
    } catch (error) {
      if (!hasFailureType(error, 'NoCapacity')) throw error;
    }
  }
  throw tries.noCapacity();
}
