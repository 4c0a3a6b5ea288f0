import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilAborted } from '../until-aborted';

/** Time, in milliseconds of any clock that only goes forward. */
export interface Clock {
  now(): number;
  /** @throws where the signal comes before the time is over */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** The clock of this process. */
export const processClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
};

/**
 * What was not used of the last so many milliseconds may be used now: timers fire late, and a limit that never made up for
 * it would be kept by half. Within any second, then, no more than a tenth above the limit goes.
 */
const CREDIT_MS = 100;

/**
 * A limit of bytes a second that many copies share: who asks first goes first. What is taken at once should be little
 * against the limit, as it goes whole.
 */
export class RateLimit {
  /** When all that was let through will have been paid for. */
  private paidAt = -Infinity;
  private last: Promise<unknown> = Promise.resolve();

  /** @param bytesPerSecond is asked each time, and so may change at any time; Infinity for no limit */
  constructor(
    private readonly bytesPerSecond: () => number,
    private readonly clock: Clock = processClock,
  ) {}

  /** Waits until so many bytes may go. @throws the signal's reason */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const before = this.last;
    let pass = (): void => undefined;
    const mine = new Promise<void>((resolve) => (pass = resolve));
    // Whoever gives up leaves the order of the others as it is.
    this.last = Promise.all([before, mine]);
    try {
      await untilAborted(before, signal);
      const wait = this.paidAt - this.clock.now();
      if (wait > 0) await this.clock.sleep(wait, signal);
      const now = this.clock.now();
      this.paidAt = Math.max(this.paidAt, now - CREDIT_MS) + (bytes / this.bytesPerSecond()) * 1000;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      pass();
    }
  }
}
