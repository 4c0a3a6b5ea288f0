/** Bounds of an {@link AdaptiveLimit}. */
export interface LimitBounds {
  initial: number;
  most: number;
}

/**
 * A window is this many times the limit of calls, and lasts this long at least, so that its speed means something. In the
 * beginning, where steps are large and waiting costs the most, once the limit.
 */
const WINDOW_ROUNDS = 2;
const FIRST_WINDOW_ROUNDS = 1;
const WINDOW_MS = 100;
/** Part by which the limit grows in the beginning, until that does not pay: 8 become 128 in four windows. */
const FIRST_STEP = 1;
/** Part by which it grows later, when more is tried. */
const STEP = 0.25;
/** Part of that step by which the speed must grow for the step to pay. Where latency bounds the speed, it grows as much. */
const PAYS = 0.3;
/**
 * Windows by the best of which a limit is known: what disturbs them (other work on the machine, new connections, code that is
 * not compiled yet) only ever makes them slower. So many are given to a step until it counts as one that does not pay.
 */
const BEST_OF = 3;
/**
 * Windows after a step that did not pay until the next is tried, the first time; twice as many each time after, up to the last:
 * networks and services change, but slowly.
 */
const FIRST_REST = 2;
const LAST_REST = 20;

/**
 * How many calls to a service may be under way at once, found out while they are made. More are tried; they stay where
 * they made the calls faster altogether, and go where they only made each wait longer. That is what latency asks for; what
 * the service takes in a second is for a {@link Pace}, behind which calls wait in their place here. One limit serves all
 * copies of a process, since the quota is the account's; calls wait in the order in which they came.
 */
export class AdaptiveLimit {
  private limit: number;
  private active = 0;
  private readonly waiting: (() => void)[] = [];
  /** Of the window that is under way. */
  private calls = 0;
  private beganAt: number;
  private full = false;
  private held = false;
  private starting = true;
  /** Speeds of the latest windows at this limit. */
  private speeds: number[] = [];
  /** What a step that is being tried is measured against. */
  private trial: { limit: number; speed: number } | undefined;
  private rest = 0;
  private nextRest = FIRST_REST;

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
   * @param call is given a function to tell that something else than the service's answer kept it waiting
   */
  async run<T>(call: (held: () => void) => Promise<T>): Promise<T> {
    // A call that was woken took the place of the one that ended, so that none that comes later gets in between.
    if (this.active >= this.limit) {
      this.full = true;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else this.active++;
    try {
      return await call(() => (this.held = true));
    } finally {
      this.ended();
    }
  }

  private ended(): void {
    this.calls++;
    const rounds = this.starting ? FIRST_WINDOW_ROUNDS : WINDOW_ROUNDS;
    if (this.calls >= this.limit * rounds) this.adapt(this.now());
    this.active--;
    while (this.active < this.limit && this.waiting.length > 0) {
      this.active++;
      this.waiting.shift()!();
    }
  }

  private adapt(now: number): void {
    const ms = now - this.beganAt;
    if (ms < WINDOW_MS) return;
    if (this.held) {
      // There is room for more than may go.
      this.trial = undefined;
      this.starting = false;
    } else if (this.full) this.judge(this.calls / ms);
    // Where nothing waited, the limit was none, and the speed says nothing about it.
    this.calls = 0;
    this.beganAt = now;
    this.full = false;
    this.held = false;
  }

  /** @param speed calls a millisecond */
  private judge(speed: number): void {
    const { trial } = this;
    this.speeds.push(speed);
    if (trial !== undefined) {
      const step = this.limit / trial.limit - 1;
      if (speed >= trial.speed * (1 + PAYS * step)) {
        this.trial = undefined;
        this.nextRest = FIRST_REST;
      } else if (this.speeds.length < BEST_OF) return;
      else {
        this.setLimit(trial.limit);
        this.trial = undefined;
        this.starting = false;
        this.rest = this.nextRest;
        this.nextRest = Math.min(LAST_REST, 2 * this.nextRest);
        return;
      }
    }
    if (this.speeds.length > BEST_OF) this.speeds.shift();
    if (this.rest > 0) this.rest--;
    else if (this.limit < this.bounds.most) {
      this.trial = { limit: this.limit, speed: Math.max(...this.speeds) };
      this.setLimit(Math.ceil(this.limit * (1 + (this.starting ? FIRST_STEP : STEP))));
    }
  }

  private setLimit(limit: number): void {
    this.limit = Math.min(this.bounds.most, limit);
    this.speeds = [];
  }
}
