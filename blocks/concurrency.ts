/** Bounds of an {@link AdaptiveLimit}. */
export interface LimitBounds {
  initial: number;
  least: number;
  most: number;
}

/** Mean latency, as a multiple of the lowest seen, up to which more calls at once are tried: the rest is queueing. */
const QUEUEING = 2;
/** And from which on there are too many. */
const OVERLOAD = 4;
/** How much of the limit is left when the service throttles. */
const BACK_OFF = 0.7;
/** The lowest latency that was seen is forgotten slowly, 2 % a window: networks and services change. */
const FORGET = 1.02;

/**
 * How many calls to a service may be under way at once, found out while they are made: one more after each window of
 * calls that all went well without queueing, fewer when the service throttles or answers much later than it could.
 * One limit serves all copies of a process, since the quota is the account's; calls wait in the order in which they came.
 */
export class AdaptiveLimit {
  private limit: number;
  private active = 0;
  private readonly waiting: (() => void)[] = [];
  /** Of the window that is under way. */
  private calls = 0;
  private totalMs = 0;
  private full = false;
  private throttled = false;
  private lowestMs = Infinity;

  constructor(private readonly bounds: LimitBounds) {
    this.limit = bounds.initial;
  }

  /** Calls that may be under way. */
  get current(): number {
    return this.limit;
  }

  /**
   * Runs a call when there is room for it.
   * @param call is given a function to tell that the service throttled it, however often
   */
  async run<T>(call: (throttled: () => void) => Promise<T>): Promise<T> {
    // A call that was woken took the place of the one that ended, so that none that comes later gets in between.
    if (this.active >= this.limit) {
      this.full = true;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else this.active++;
    const began = performance.now();
    let slowed = false;
    try {
      return await call(() => {
        slowed = this.throttled = true;
      });
    } finally {
      this.ended(slowed ? undefined : performance.now() - began);
    }
  }

  private ended(latencyMs: number | undefined): void {
    this.calls++;
    // A call that waited for the throttling to pass tells nothing about latency.
    if (latencyMs !== undefined) this.totalMs += latencyMs;
    if (this.calls >= this.limit) this.adapt();
    this.active--;
    while (this.active < this.limit && this.waiting.length > 0) {
      this.active++;
      this.waiting.shift()!();
    }
  }

  private adapt(): void {
    const meanMs = this.totalMs / this.calls;
    const { least, most } = this.bounds;
    if (this.throttled) this.limit = Math.max(least, Math.floor(this.limit * BACK_OFF));
    else {
      this.lowestMs = Math.min(meanMs, this.lowestMs * FORGET);
      if (meanMs > this.lowestMs * OVERLOAD) this.limit = Math.max(least, this.limit - 1);
      else if (this.full && meanMs <= this.lowestMs * QUEUEING) this.limit = Math.min(most, this.limit + 1);
    }
    this.calls = 0;
    this.totalMs = 0;
    this.full = false;
    this.throttled = false;
  }
}
