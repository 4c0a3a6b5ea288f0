/** Bounds of an {@link AdaptiveLimit}. */
export interface LimitBounds {
  initial: number;
  least: number;
  most: number;
}

/** A window is this many times the limit of calls, and lasts this long at least, so that its speed means something. */
const WINDOW_ROUNDS = 2;
const WINDOW_MS = 100;
/** Part by which the limit grows when more is tried. */
const STEP = 0.25;
/** Part of that step by which the speed must grow for the step to pay. Where latency bounds the speed, it grows as much. */
const PAYS = 0.3;
/** Windows after a step that did not pay until the next is tried: networks and services change, but slowly. */
const REST_WINDOWS = 20;
/** How much of the limit is left when the service throttles. */
const BACK_OFF = 0.7;
/** Milliseconds for which being throttled again says no more: those calls were under way when the limit was lowered. */
const BACK_OFF_MS = 500;

/**
 * How many calls to a service may be under way at once, found out while they are made. More are tried; they stay where
 * they made the calls faster altogether, and go where they only made each wait longer. When the service throttles,
 * there are fewer at once. One limit serves all copies of a process, since the quota is the account's; calls wait in the
 * order in which they came.
 */
export class AdaptiveLimit {
  private limit: number;
  private active = 0;
  private readonly waiting: (() => void)[] = [];
  /** Of the window that is under way. */
  private calls = 0;
  private beganAt: number;
  private full = false;
  private throttled = false;
  /** What a step that is being tried is measured against. */
  private trial: { limit: number; speed: number } | undefined;
  private rest = 0;
  private backedOffAt = -Infinity;

  /** @param now milliseconds of a clock that only goes forward */
  constructor(
    private readonly bounds: LimitBounds,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.limit = bounds.initial;
    this.beganAt = now();
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
    try {
      return await call(() => (this.throttled = true));
    } finally {
      this.ended();
    }
  }

  private ended(): void {
    this.calls++;
    if (this.throttled || this.calls >= this.limit * WINDOW_ROUNDS) this.adapt(this.now());
    this.active--;
    while (this.active < this.limit && this.waiting.length > 0) {
      this.active++;
      this.waiting.shift()!();
    }
  }

  private adapt(now: number): void {
    const { least, most } = this.bounds;
    if (this.throttled) {
      if (now - this.backedOffAt >= BACK_OFF_MS) {
        this.limit = Math.max(least, Math.floor(this.limit * BACK_OFF));
        this.backedOffAt = now;
      }
      this.trial = undefined;
      this.rest = REST_WINDOWS;
    } else {
      const ms = now - this.beganAt;
      if (ms < WINDOW_MS) return;
      // Where nothing waited, the limit was none, and the speed says nothing about it.
      if (this.full) this.judge(this.calls / ms, most);
    }
    this.calls = 0;
    this.beganAt = now;
    this.full = false;
    this.throttled = false;
  }

  /** @param speed calls a millisecond */
  private judge(speed: number, most: number): void {
    const { trial } = this;
    if (trial !== undefined && speed < trial.speed * (1 + PAYS * (this.limit / trial.limit - 1))) {
      this.limit = trial.limit;
      this.trial = undefined;
      this.rest = REST_WINDOWS;
    } else if (this.rest > 0) this.rest--;
    else if (this.limit < most) {
      this.trial = { limit: this.limit, speed };
      this.limit = Math.min(most, Math.ceil(this.limit * (1 + STEP)));
    } else this.trial = undefined;
  }
}
