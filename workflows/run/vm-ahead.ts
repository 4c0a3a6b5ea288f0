import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { dependenciesReadySignal, type DependenciesReady } from './messages';

interface StartedChild<Result> {
  signal(signal: typeof dependenciesReadySignal, ...told: [DependenciesReady?]): Promise<void>;
  result(): Promise<Result>;
}

/** Starts the VM's child workflow. `ahead`: not all that the VM depends on is ready yet, and it waits to be told. */
type StartVm<Result> = (ahead: boolean) => Promise<StartedChild<Result>>;

/** A VM's child workflow, which may be begun before all that the VM depends on is ready. */
export class VmAhead<Result> {
  private readonly scope = new CancellationScope();
  private child: Promise<StartedChild<Result>> | undefined;
  private result: Promise<Result> | undefined;
  private state: 'not begun' | 'preparing' | 'in turn' | 'over' = 'not begun';

  constructor(private readonly start: StartVm<Result>) {}

  /** Whether nothing has been asked of it yet. */
  get untouched(): boolean {
    return this.state === 'not begun';
  }

  /** Whether it has been begun ahead, and not all that it depends on is ready. */
  get isAhead(): boolean {
    return this.state === 'preparing';
  }

  /** Begins it before its turn. @returns when the server has begun it */
  async prepare(): Promise<void> {
    this.state = 'preparing';
    await this.begin(true);
  }

  /** All that the VM depends on is ready, but for those that are left out (`without`). @returns how it ends */
  async goOn(without: string[] = []): Promise<Result> {
    const prepared = this.isAhead;
    this.state = 'in turn';
    const child = await (prepared ? this.child : this.begin(false));
    try {
      const told: [DependenciesReady?] = without.length === 0 ? [] : [{ without }];
      if (prepared) await child?.signal(dependenciesReadySignal, ...told);
    } catch (error) {
      // One that has ended cannot be told any more, and how it ended is what counts.
      if (isCancellation(error)) throw error;
    }
    return this.result as Promise<Result>;
  }

  /** Something that the VM depends on has failed. Returns when nothing of it goes on any more. */
  async giveUp(): Promise<void> {
    this.state = 'over';
    this.scope.cancel();
    await this.result?.catch(() => undefined);
  }

  private begin(ahead: boolean): Promise<StartedChild<Result>> {
    const child = this.scope.run(() => this.start(ahead));
    this.child = child;
    this.result = child.then((started) => started.result());
    // It may fail before anybody waits for it; then whoever does is told.
    this.result.catch(() => undefined);
    return child;
  }
}
