import { type LaunchedInstance as LaunchedByCopy } from '../activities/aws-proxy/launch/contract';
import { type Dependencies, leftOutOf } from './dependencies';
import { awsProxy } from './run/activities';
import { type FailoverVmRequest, subnetsFor, volumesOf } from './failover-vm-request';
import { type Launch, type LaunchAttempts, type Launched, LaunchTries } from './launch-tries';
import { Kept } from './run/kept';

/** The instance of a VM that has a launch copy: one image, one launch, and it boots. */
export class LaunchedInstance {
  private readonly tries: LaunchTries<LaunchedByCopy>;
  private readonly image = new Kept(() => this.register());

  constructor(
    private readonly request: FailoverVmRequest,
    private readonly dependencies: Dependencies,
    attempts: LaunchAttempts,
  ) {
    this.tries = new LaunchTries(request, attempts, (first) => this.launch(first), {
      subnets: () => subnetsFor(request),
      launchedByCopy: true,
    });
  }

  /** Tries these types from now on. */
  useTypes(types: string[]): void {
    this.tries.useTypes(types);
  }

  /** Launches the instance, or tells which was launched. */
  instance(): Promise<Launched<LaunchedByCopy>> {
    return this.tries.get();
  }

  /** EC2 has taken the instance away; the next one is another. */
  forget(): void {
    this.tries.forget();
  }

  /** The image is registered while the VMs boot that this one depends on; their addresses go with the launch. */
  private async launch(
    first: (launch: Launch<LaunchedByCopy>) => Promise<Launched<LaunchedByCopy>>,
  ): Promise<Launched<LaunchedByCopy>> {
    const { drCopy } = this.request;
    const imageId = await this.image.get();
    await this.dependencies.ready();
    return first((launch) =>
      awsProxy.launchInstance({
        ...{ ...launch, imageId, drCopy, ...volumesOf(this.request) },
        ...leftOutOf(this.dependencies),
      }),
    );
  }

  private async register(): Promise<string> {
    const { run, vm, drCopy } = this.request;
    return (await awsProxy.registerImage({ run, vm: vm.name, drCopy, ...volumesOf(this.request) })).imageId;
  }
}
