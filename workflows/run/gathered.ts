import { CancellationScope, condition } from '@temporalio/workflow';

interface Gathering {
  /** As many as one piece of work is of. */
  most: number;
  /** How long the first of them waits for others, such as `30 seconds`. */
  within: '10 seconds' | '30 seconds';
  /** Whether it goes on when the run is cancelled. */
  nonCancellable?: boolean;
}

/**
 * Work on things that come one by one, which is done on many of them at a time, beside the run's own steps: a thousand VMs, of which
 * EC2 launches two a second, would else be a thousand activities.
 */
export class Gathered<T> {
  private waiting: T[] = [];
  private isLast = false;
  private readonly working: Promise<void>;

  constructor(
    private readonly work: (things: T[]) => Promise<void>,
    private readonly gathering: Gathering,
  ) {
    this.working = gathering.nonCancellable
      ? CancellationScope.nonCancellable(() => this.workOnAll())
      : this.workOnAll();
    // Whoever waits for the end is told of a failure; a run that fails before does not.
    this.working.catch(() => undefined);
  }

  add(thing: T): void {
    this.waiting.push(thing);
  }

  /** Nothing is added any more; waits until the work is done. @throws what the work throws */
  async end(): Promise<void> {
    this.isLast = true;
    await this.working;
  }

  private async workOnAll(): Promise<void> {
    const { most, within } = this.gathering;
    for (;;) {
      await condition(() => this.isLast || this.waiting.length > 0);
      const full = (): boolean => this.isLast || this.waiting.length >= most;
      if (!full()) await condition(full, within);
      const things = this.waiting.splice(0, most);
      if (things.length === 0) return;
      await this.work(things);
    }
  }
}
