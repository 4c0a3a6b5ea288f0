import { type RunContext } from '../plan/run';
import { awsProxy } from './run/activities';
import { causeMessage } from './run/failure-message';
import { Gathered } from './run/gathered';

/** Images of so many VMs are removed by one activity, so that what it has to tell stays small. */
const VMS_AT_ONCE = 200;

/**
 * Images that VMs were launched by. What has been launched runs on without them, so they go while other VMs boot, and nobody waits
 * for it. An image costs nothing: that one could not be removed is no failure.
 */
export class ServedImages {
  /** Also where the run is cancelled: of what serves, nothing is taken back any more. */
  private readonly served = new Gathered<string>((vms) => this.remove(vms), {
    most: VMS_AT_ONCE,
    // A thousand VMs, whose launches take AWS eight minutes, need some fifty activities.
    within: '10 seconds',
    nonCancellable: true,
  });
  /** Why the image of a VM is left, by VM. */
  private readonly left = new Map<string, string>();

  constructor(private readonly run: RunContext) {}

  /** The VM is up. */
  add(vm: string): void {
    this.served.add(vm);
  }

  /** Waits until all are removed; a VM whose image is left gets a warning. */
  async removed(recovered: ReadonlyMap<string, { warnings: string[] }>): Promise<void> {
    await this.served.end();
    for (const [vm, why] of this.left)
      recovered
        .get(vm)
        ?.warnings.push(
          `The image that ${vm} was launched by is still registered (${why}); "lifeboat sweep" removes it.`,
        );
  }

  /** Never fails. */
  private async remove(vms: string[]): Promise<void> {
    try {
      await awsProxy.deregisterImages({ run: this.run, vms });
    } catch (error) {
      for (const vm of vms) this.left.set(vm, causeMessage(error));
    }
  }
}
