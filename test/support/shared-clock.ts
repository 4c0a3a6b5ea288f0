import { VirtualClock } from './virtual-clock';

/**
 * Time that goes on by the earliest of all that is waited for, once nothing else is left to do: for several budgets, and for
 * answers that take their time.
 */
export class SharedClock extends VirtualClock {
  private at = 0;
  private readonly sleepers: { until: number; wake: () => void }[] = [];

  override now(): number {
    return this.at;
  }

  override sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      const wake = (): void => {
        // Thousands of sleeps may have one signal, which looks through its listeners for each.
        signal.removeEventListener('abort', abort);
        resolve();
      };
      this.sleepers.push({ until: this.at + milliseconds, wake });
    });
  }

  /** Lets so much time pass. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.at + milliseconds;
    for (;;) {
      await new Promise(setImmediate);
      this.sleepers.sort((a, b) => a.until - b.until);
      const next = this.sleepers[0];
      if (next === undefined || next.until > end) break;
      this.at = Math.max(this.at, next.until);
      while (this.sleepers[0]?.until === next.until) this.sleepers.shift()?.wake();
    }
    this.at = end;
  }
}
