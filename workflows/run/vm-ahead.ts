import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { dependenciesReadySignal } from './messages';

interface StartedChild<Result> {
  signal(signal: typeof dependenciesReadySignal): Promise<void>;
  result(): Promise<Result>;
}

/** A VM's child workflow that is begun before all that the VM depends on is ready. */
export class VmAhead<Result> {
  private readonly scope = new CancellationScope();
  private readonly child: Promise<StartedChild<Result>>;
  /** How it ends. */
  readonly result: Promise<Result>;

  constructor(begin: () => Promise<StartedChild<Result>>) {
    this.child = this.scope.run(begin);
    this.result = this.child.then((child) => child.result());
    // It may fail before anybody waits for it; then whoever does is told.
    this.result.catch(() => undefined);
  }

  /** All that the VM depends on is ready. */
  async goOn(): Promise<Result> {
    const child = await this.child;
    try {
      await child.signal(dependenciesReadySignal);
    } catch (error) {
      // One that has ended cannot be told any more, and how it ended is what counts.
      if (isCancellation(error)) throw error;
    }
    return this.result;
  }

  /** Something that the VM depends on has failed. Returns when nothing of it goes on any more. */
  async giveUp(): Promise<void> {
    this.scope.cancel();
    await this.result.catch(() => undefined);
  }
}
