import { CancellationScope, condition } from '@temporalio/workflow';
import { type RunContext } from '../plan/run';
import { awsProxy } from './run/activities';
import { causeMessage } from './run/failure-message';

/** Images of so many VMs are removed by one activity, so that what it has to tell stays small. */
const VMS_AT_ONCE = 200;

/** How long served images are gathered: a plan of a thousand VMs, whose launches take AWS eight minutes, needs some fifty activities. */
const GATHERED_FOR = '10 seconds';

/**
 * Images that VMs were launched by. What has been launched runs on without them, so they go while other VMs boot, and nobody waits
 * for it. An image costs nothing: that one could not be removed is no failure.
 */
export class ServedImages {
  private served: string[] = [];
  private wanted = false;
  private removing: Promise<void> | undefined;
  /** Why the image of a VM is left, by VM. */
  private readonly left = new Map<string, string>();

  constructor(private readonly run: RunContext) {}

  /** The VM is up. */
  add(vm: string): void {
    this.served.push(vm);
    // Also where the run is cancelled: of what serves, nothing is taken back any more.
    this.removing ??= CancellationScope.nonCancellable(() => this.remove());
  }

  /** Waits until all are removed; a VM whose image is left gets a warning. */
  async removed(recovered: ReadonlyMap<string, { warnings: string[] }>): Promise<void> {
    this.wanted = true;
    await this.removing;
    for (const [vm, why] of this.left)
      recovered
        .get(vm)
        ?.warnings.push(
          `The image that ${vm} was launched by is still registered (${why}); "lifeboat sweep" removes it.`,
        );
  }

  private async remove(): Promise<void> {
    await condition(() => this.wanted || this.served.length >= VMS_AT_ONCE, GATHERED_FOR);
    while (this.served.length > 0) await this.removeOf(this.served.splice(0, VMS_AT_ONCE));
    this.removing = undefined;
  }

  /** Never fails. */
  private async removeOf(vms: string[]): Promise<void> {
    try {
      await awsProxy.deregisterImages({ run: this.run, vms });
    } catch (error) {
      for (const vm of vms) this.left.set(vm, causeMessage(error));
    }
  }
}
