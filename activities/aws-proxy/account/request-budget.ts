import { type Clock, processClock } from '../../../blocks/limits/rate-limit';
import { WaitingLine } from '../../../blocks/limits/waiting-line';

/** A token bucket of AWS: what it holds, and what it gets back a second. A request takes one token. */
export interface BucketSize {
  burst: number;
  perSecond: number;
}

export interface BudgetOptions {
  clock?: Clock;
  /** Seconds after which a request that is not answered yet is taken to have arrived. */
  arrivalSeconds?: number;
  /** A number from 0 to 1, for pauses that differ from process to process. */
  random?: () => number;
}

/**
 * AWS takes a request's token when it arrives, and answers later: RunInstances after seconds, which must not be held against
 * it. One second is many times the way to any Region.
 */
const ARRIVAL_SECONDS = 1;
/** Part of AWS's refill that is counted on: clocks differ, and so do ways of counting. */
const COUNTED_ON = 0.98;
/** Requests of one call, the first included, after which its refusal is the caller's. */
const TRIES = 9;
/** Part of the bucket's refill that is left after a refusal, and the least of it: what ten proxies have each that share one. */
const AFTER_REFUSAL = 0.5;
const LEAST_SHARE = 0.1;
/** Part of the refill that comes back a second: from half to all in ten, some 20 requests of the smallest bucket. */
const RECOVERY_PER_SECOND = 0.05;
/** Longest pause after a refusal, in milliseconds; it doubles with each that follows without an answer between, up to the last. */
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 4000;

/** A request that was let go. */
interface Sent {
  at: number;
}

/**
 * This process's part of one token bucket of AWS: requests wait here for their turn, in the order in which they came, instead
 * of being refused there. Where one is refused all the same, others use the bucket, too: the budget has half of the refill
 * from then on, and gets it back by and by, so that all who do so come to equal parts (docs/decisions/0027-…).
 *
 * What it counts is never more than what AWS has, whatever the way there takes: a full bucket gets nothing back, and those
 * that are still on their way have not taken from it yet.
 */
export class RequestBudget {
  private tokens: number;
  private countedAt: number;
  private share = 1;
  private readonly underWay = new Set<Sent>();
  private readonly waiting = new WaitingLine<Sent>();
  private serving: AbortController | undefined;
  private refusals = 0;
  private refusedAt = -Infinity;
  private pausedUntil = -Infinity;
  private readonly clock: Clock;
  private readonly arrivalMs: number;
  private readonly random: () => number;

  constructor(
    private readonly size: BucketSize,
    { clock = processClock, arrivalSeconds = ARRIVAL_SECONDS, random = Math.random }: BudgetOptions = {},
  ) {
    this.clock = clock;
    this.arrivalMs = arrivalSeconds * 1000;
    this.random = random;
    this.tokens = size.burst;
    this.countedAt = clock.now();
  }

  /**
   * Makes a call when its turn has come; one that is refused has the next turn again.
   * @param isRefusal tells that AWS would not have the call because calls come too fast
   * @param signal ends the waiting; a call under way is left to itself
   * @throws what the call throws, its last refusal, or the signal's reason
   */
  async run<T>(
    call: () => Promise<T>,
    isRefusal: (error: unknown) => boolean,
    signal?: AbortSignal,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      const sent = await this.turn(signal, tries > 1);
      try {
        const answer = await call();
        this.refusals = 0;
        return answer;
      } catch (error) {
        if (!isRefusal(error)) {
          this.refusals = 0;
          throw error;
        }
        this.refused(sent);
        if (tries >= TRIES) throw error;
      } finally {
        this.count();
        this.underWay.delete(sent);
      }
    }
  }

  /** Waits for a turn. */
  take(signal?: AbortSignal): Promise<void> {
    return this.turn(signal, false).then((sent) => {
      this.underWay.delete(sent);
    });
  }

  private async turn(signal: AbortSignal | undefined, again: boolean): Promise<Sent> {
    const turn = this.waiting.wait(again, signal);
    void this.serve();
    try {
      return await turn;
    } catch (error) {
      if (this.waiting.isEmpty) this.stopServing();
      throw error;
    }
  }

  private async serve(): Promise<void> {
    if (this.serving !== undefined) return;
    const serving = new AbortController();
    this.serving = serving;
    while (!this.waiting.isEmpty) {
      const milliseconds = this.untilTurn();
      if (milliseconds > 0) {
        try {
          await this.clock.sleep(milliseconds, serving.signal);
        } catch (error) {
          if (!serving.signal.aborted) throw error;
        }
        // Whoever waits by now has a server of its own.
        if (serving.signal.aborted) return;
      } else {
        const sent = { at: this.clock.now() };
        this.tokens -= 1;
        this.underWay.add(sent);
        this.waiting.next(sent);
      }
    }
    this.serving = undefined;
  }

  /** Nobody waits any more: a timer that is left would keep the process alive. */
  private stopServing(): void {
    this.serving?.abort();
    this.serving = undefined;
  }

  private untilTurn(): number {
    this.count();
    const lacking = Math.max(0, 1 - this.tokens);
    return Math.max(this.pausedUntil - this.clock.now(), Math.ceil((lacking / this.perSecond) * 1000));
  }

  private get perSecond(): number {
    return this.size.perSecond * COUNTED_ON * this.share;
  }

  /** Adds what came back since the last count. */
  private count(): void {
    const now = this.clock.now();
    const seconds = (now - this.countedAt) / 1000;
    this.countedAt = now;
    let onTheirWay = 0;
    for (const { at } of this.underWay) if (now - at < this.arrivalMs) onTheirWay++;
    const room = this.size.burst - onTheirWay;
    if (this.tokens < room) this.tokens = Math.min(room, this.tokens + seconds * this.perSecond);
    this.share = Math.min(1, this.share + seconds * RECOVERY_PER_SECOND);
  }

  private refused(sent: Sent): void {
    // It was under way when another was refused, and says nothing new.
    if (sent.at < this.refusedAt) return;
    this.count();
    const now = this.clock.now();
    this.refusedAt = now;
    this.tokens = Math.min(this.tokens, 0);
    this.share = Math.max(LEAST_SHARE, this.share * AFTER_REFUSAL);
    this.pausedUntil = now + this.random() * Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.refusals);
    this.refusals++;
  }
}
