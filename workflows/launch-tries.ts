import { ApplicationFailure } from '@temporalio/workflow';
import { type InstanceLaunch } from '../activities/aws-proxy/launch/contract';
import { awsProxy } from './run/activities';
import { type FailoverVmRequest, networkOf } from './failover-vm-request';
import { causeMessage, hasFailureType } from './run/failure-message';
import { Kept } from './run/kept';
import { reportPhase } from './run/vm-child';

/** What was launched, of which type. */
export type Launched<T> = T & { instanceType: string };

/** What every launch is told, by whichever way: whose, of which type, and where. Each attempt has a number of its own. */
export type LaunchAttempt = Omit<InstanceLaunch, 'imageId'>;

export type Launch<T> = (launch: LaunchAttempt) => Promise<T>;

/** Attempts at an instance of one VM, by whichever way: no two have the same number, which is in tokens and tags. */
export class LaunchAttempts {
  private last = 0;

  next(): number {
    return ++this.last;
  }
}

/** An instance of one VM, launched once: of the first of its types for which AWS has capacity, in the first zone that has it. */
export class LaunchTries<T> {
  private types: string[];
  private readonly launched = new Kept(() => this.launch());
  /** An attempt that failed for another reason than capacity may have launched something all the same. */
  private doubtful: number | undefined;

  /**
   * @param begin makes what has to be there before the first launch, and then goes on with the launch itself. Histories of
   *   earlier releases tell in which order the steps of a VM are asked for: nothing waits between the two.
   * @param where the subnets that it may be in, in order of preference, as they are when it is launched; and whether an instance's volumes are its own, and go
   *   with it when it is discarded
   */
  constructor(
    private readonly request: FailoverVmRequest,
    private readonly attempts: LaunchAttempts,
    private readonly begin: (first: (launch: Launch<T>) => Promise<Launched<T>>) => Promise<Launched<T>>,
    private readonly where: { subnets: () => string[]; launchedByCopy: boolean },
  ) {
    this.types = request.vm.instanceTypes;
  }

  /** Tries these types from now on. */
  useTypes(types: string[]): void {
    this.types = types;
  }

  /** Launches, or tells what was launched. */
  get(): Promise<Launched<T>> {
    return this.launched.get();
  }

  /** EC2 has taken the instance away; the next one is another. */
  forget(): void {
    this.launched.forget();
  }

  /** The types from this one on: those before it had no capacity a moment ago. All, where it is none of them. */
  typesFrom(instanceType: string): string[] {
    return this.types.slice(Math.max(0, this.types.indexOf(instanceType)));
  }

  private async launch(): Promise<Launched<T>> {
    const { run, vm } = this.request;
    if (this.doubtful !== undefined) {
      const doubtful = { run, vm: vm.name, attempt: this.doubtful };
      await awsProxy.discardShell(
        this.where.launchedByCopy ? { ...doubtful, launchedByCopy: true } : doubtful,
      );
    }
    this.doubtful = undefined;
    return this.begin((launch) => this.first(launch));
  }

  private async first(launch: Launch<T>): Promise<Launched<T>> {
    for (const instanceType of this.types)
      for (const subnet of this.where.subnets()) {
        const launched = await this.launchIn(launch, instanceType, subnet);
        if (launched !== undefined) return launched;
      }
    throw this.noCapacity();
  }

  /**
   * @param again whether EC2 took the first instance back for an error of its own
   * @returns undefined where there is no capacity
   */
  private async launchIn(
    launch: Launch<T>,
    instanceType: string,
    subnet: string,
    again = false,
  ): Promise<Launched<T> | undefined> {
    const { run, vm, test } = this.request;
    const attempt = this.attempts.next();
    try {
      const network = networkOf(this.request);
      const launched = await launch({ run, vm: vm.name, attempt, instanceType, subnet, ...network, test });
      this.doubtful = undefined;
      return { ...launched, instanceType };
    } catch (error) {
      if (hasFailureType(error, 'NoCapacity')) {
        // AWS's own words may name zones that have capacity.
        await reportPhase(vm.name, 'no capacity', `${instanceType} in ${subnet}: ${causeMessage(error)}`);
        return undefined;
      }
      this.doubtful = attempt;
      if (again || !hasFailureType(error, 'LaunchAborted')) throw error;
      await reportPhase(vm.name, 'launching again', causeMessage(error));
      return this.launchIn(launch, instanceType, subnet, true);
    }
  }

  noCapacity(): ApplicationFailure {
    return ApplicationFailure.nonRetryable(
      `AWS has no capacity for ${this.request.vm.name} in any of its types (${this.types.join(', ')}); try another type, or again later.`,
      'NoCapacity',
    );
  }
}
