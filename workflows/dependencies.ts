import { condition, setHandler } from '@temporalio/workflow';
import { someOf } from '../plan/some-of';
import { type FailoverVmRequest } from './failover-vm-request';
import { dependenciesReadySignal } from './run/messages';
import { reportPhase } from './run/vm-child';

/** The VMs that one depends on, as its child workflow knows of them: all are ready (or left out), or not yet. */
export class Dependencies {
  private areReady: boolean;
  /** VMs among them that are left out of the run; of no use before they are {@link ready}. */
  without: string[];

  constructor(private readonly request: FailoverVmRequest) {
    // A VM that is not begun ahead is begun when they are.
    this.areReady = request.ahead !== true;
    this.without = request.without ?? [];
    setHandler(dependenciesReadySignal, (told) => {
      this.without = told?.without ?? [];
      this.areReady = true;
    });
  }

  /** Waits until they are, and tells people of it where that takes time. */
  async ready(): Promise<void> {
    if (this.areReady) return;
    const { name, dependsOn, approval } = this.request.vm;
    const awaited = [
      ...(dependsOn.length === 0 ? [] : [someOf(dependsOn)]),
      ...(approval === true ? ['its approval'] : []),
    ];
    await reportPhase(
      name,
      'waiting',
      awaited.length === 0 ? 'to be started' : `for ${awaited.join(', and ')}`,
    );
    await condition(() => this.areReady);
  }
}

/** What a launch is told of the VMs that are not there. */
export const leftOutOf = ({ without }: Dependencies): { without?: string[] } =>
  without.length === 0 ? {} : { without };
