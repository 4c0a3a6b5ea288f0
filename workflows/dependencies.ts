import { condition, setHandler } from '@temporalio/workflow';
import { someOf } from '../plan/some-of';
import { type FailoverVmRequest } from './failover-vm-request';
import { dependenciesReadySignal } from './run/messages';
import { reportPhase } from './run/vm-child';

/** The VMs that one depends on, as its child workflow knows of them: all are ready, or not yet. */
export class Dependencies {
  private areReady: boolean;

  constructor(private readonly request: FailoverVmRequest) {
    // A VM that is not begun ahead is begun when they are.
    this.areReady = request.ahead !== true;
    setHandler(dependenciesReadySignal, () => {
      this.areReady = true;
    });
  }

  /** Waits until they are, and tells people of it where that takes time. */
  async ready(): Promise<void> {
    if (this.areReady) return;
    const { name, dependsOn } = this.request.vm;
    await reportPhase(name, 'waiting', `for ${someOf(dependsOn)}`);
    await condition(() => this.areReady);
  }
}
