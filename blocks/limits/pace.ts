import { type Clock, processClock } from './rate-limit';
import { WaitingLine } from './waiting-line';

/** Calls a second of one kind that EBS direct takes of an account, unless it was raised (Amazon EBS endpoints and quotas). */
const QUOTA_PER_SECOND = 1000;
/** Part by which the pace falls after a refusal, at least and at most; between them, the part of the calls that was refused. */
const LEAST_CUT = 0.03;
const MOST_CUT = 0.5;
/**
 * Calls a second by which the pace grows in a second while calls wait for it. The same number whatever the pace is: that is
 * what brings several who share a quota to equal parts, as TCP's do on a line. It doubles with every two seconds without a
 * refusal, so that what others have left, or a quota that was raised, is found soon.
 */
const GROWTH = 40;
const GROWTH_DOUBLES_SECONDS = 2;
/** The least pace: what ten proxies have each that share the quota. */
const LEAST_PER_SECOND = 100;
/** Milliseconds of answers by which the pace is judged: some hundred calls at the quota. */
const WINDOW_MS = 150;
/** Milliseconds of the pace that may go together: timers fire late, and what was missed is made up for. */
const CREDIT_MS = 50;
/** Milliseconds for which a call is refused again and again until that is its answer; the activity's retry goes on from there. */
const GIVE_UP_MS = 120_000;

/**
 * How many calls a second go to a service that refuses those that come too fast. As many as there are until the first
 * refusal; from then on by a pace, which falls with what is refused and grows while calls wait for it, so that it stays at the
 * quota, whatever that is and whoever else uses it (docs/decisions/0029). A refused call is made again at the next turn,
 * before those that wait.
 */
export class Pace {
  private rate = Infinity;
  /** Seconds for which the pace has grown since it was lowered. */
  private grownFor = 0;
  private tokens = 0;
  private countedAt: number;
  private readonly waiting = new WaitingLine<void>();
  private sleeping = false;
  /** Answers to calls that were sent before say nothing about the pace as it is. */
  private changedAt = -Infinity;
  /** Of the answers by which the pace is judged next: when the first came, and how many there are of each kind. */
  private windowAt: number | undefined;
  private taken = 0;
  private refused = 0;
  /** Calls a second of the latest such time without a refusal. */
  private speed = 0;

  constructor(private readonly clock: Clock = processClock) {
    this.countedAt = clock.now();
  }

  /** Calls a second; Infinity before the first refusal. */
  get perSecond(): number {
    return this.rate;
  }

  /**
   * Makes a call at its turn, and again where it is refused.
   * @param isRefusal tells that the service would not have the call because calls come too fast
   * @param held is called where the call has to wait for the pace
   * @throws what the call throws; its refusal, after two minutes of nothing else; the signal's reason
   */
  async run<T>(
    call: () => Promise<T>,
    isRefusal: (error: unknown) => boolean,
    signal: AbortSignal,
    held: () => void,
  ): Promise<T> {
    const beganAt = this.clock.now();
    for (let again = false; ; again = true) {
      if (this.rate !== Infinity) await this.turn(again, signal, held);
      const sentAt = this.clock.now();
      try {
        const answer = await call();
        this.judge(sentAt, false);
        return answer;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.judge(sentAt, true);
        if (this.clock.now() - beganAt > GIVE_UP_MS) throw error;
      }
    }
  }

  private async turn(again: boolean, signal: AbortSignal, held: () => void): Promise<void> {
    signal.throwIfAborted();
    this.count();
    if (this.waiting.isEmpty && this.tokens >= 1) {
      this.tokens--;
      return;
    }
    held();
    const turn = this.waiting.wait(again, signal);
    this.serve();
    await turn;
  }

  private serve(): void {
    this.count();
    while (!this.waiting.isEmpty && this.tokens >= 1) {
      this.tokens--;
      this.waiting.next();
    }
    if (this.waiting.isEmpty || this.sleeping) return;
    this.sleeping = true;
    const milliseconds = Math.ceil(((1 - this.tokens) / this.rate) * 1000);
    // Never cut short: it is over before anybody would mind.
    void this.clock.sleep(milliseconds, new AbortController().signal).then(() => {
      this.sleeping = false;
      this.serve();
    });
  }

  /** Adds what has come since the last count, and to the pace itself while somebody waits for it. */
  private count(): void {
    const now = this.clock.now();
    const seconds = (now - this.countedAt) / 1000;
    this.countedAt = now;
    if (!this.waiting.isEmpty) {
      this.grownFor += seconds;
      const growth = GROWTH * 2 ** (this.grownFor / GROWTH_DOUBLES_SECONDS);
      // Never more than twice as fast in a second.
      this.rate += Math.min(growth, this.rate) * seconds;
    }
    const credit = Math.max(1, (this.rate * CREDIT_MS) / 1000);
    this.tokens = Math.min(credit, this.tokens + seconds * this.rate);
  }

  private judge(sentAt: number, refused: boolean): void {
    if (sentAt < this.changedAt) return;
    const now = this.clock.now();
    this.windowAt ??= now;
    if (refused) this.refused++;
    else this.taken++;
    const milliseconds = now - this.windowAt;
    if (this.rate === Infinity && refused) this.begin(now, milliseconds);
    else if (milliseconds < WINDOW_MS) return;
    else if (this.refused > 0) this.slowDown(now);
    else this.speed = (this.taken / milliseconds) * 1000;
    this.windowAt = undefined;
    this.taken = this.refused = 0;
  }

  /** The service has no more to give than what it took, as far as this process asked for it. */
  private begin(now: number, milliseconds: number): void {
    const latest = milliseconds < WINDOW_MS / 2 ? 0 : (this.taken / milliseconds) * 1000;
    this.rate = Math.max(QUOTA_PER_SECOND, this.speed, latest) * (1 - LEAST_CUT);
    this.tokens = 0;
    this.countedAt = this.changedAt = now;
  }

  private slowDown(now: number): void {
    this.count();
    const part = this.refused / (this.refused + this.taken);
    const cut = Math.min(MOST_CUT, Math.max(LEAST_CUT, part));
    this.rate = Math.max(LEAST_PER_SECOND, this.rate * (1 - cut));
    this.grownFor = 0;
    this.changedAt = now;
  }
}
