import { ApplicationFailure, condition, isCancellation } from '@temporalio/workflow';
import { type RunContext } from '../../plan/run';
import { control } from './activities';
import { causeMessage, hasFailureType } from './failure-message';
import { type RetryRequest } from './messages';

/**
 * What a run does with a fault that a person has to mend: `wait` keeps what it made and goes on from there when it is
 * told to, `undo` takes everything back and fails.
 */
export type OnFailure = 'wait' | 'undo';

/** What a request says, which is `wait` where it says nothing. @throws ApplicationFailure BadRequest */
export function requireOnFailure(onFailure: unknown): OnFailure {
  if (onFailure === undefined || onFailure === 'wait' || onFailure === 'undo') return onFailure ?? 'wait';
  throw ApplicationFailure.nonRetryable(
    'Say what happens where a step fails: {"onFailure": "wait"} or "undo".',
    'BadRequest',
  );
}

/** Another run has taken the plan's state: whatever is mended, this one has no right to go on. */
const FENCED = 'Fenced';

/** Tells people what is wrong, and (undefined) that it is being tried again. */
type Report = (problem: string | undefined) => void | Promise<void>;

/** Steps of a workflow that wait for a person where they fail, and go on from there when told to. */
export class Attention {
  private waitingSteps = 0;
  /** Retries so far, and the last of them. Steps that fail at the same time go on at the same one. */
  private retries = 0;
  private latest: RetryRequest | undefined;

  constructor(
    private readonly run: RunContext,
    private onFailure: OnFailure,
    private readonly report: Report,
  ) {}

  /** Whether a step has failed and waits for {@link retry}. */
  get waiting(): boolean {
    return this.waitingSteps > 0;
  }

  /** What waits is tried again. Where nothing does, it is not kept for later. */
  retry(request: RetryRequest): void {
    if (!this.waiting) return;
    this.latest = request;
    this.retries++;
  }

  /** From here on it harms to wait. */
  undoFromNowOn(): void {
    this.onFailure = 'undo';
  }

  /**
   * Does a step until it succeeds. It must be harmless to do again what of it is done.
   * @param work gets what came with the retry
   */
  async step<T>(work: (retry?: RetryRequest) => Promise<T>): Promise<T> {
    let retry: RetryRequest | undefined;
    for (;;) {
      try {
        return await work(retry);
      } catch (error) {
        if (this.onFailure === 'undo' || isCancellation(error)) throw error;
        await this.refuseWhereFenced(error);
        retry = await this.untilRetried(error);
      }
    }
  }

  /** What another run has taken away fails in many ways, and no person can mend it. */
  private async refuseWhereFenced(error: unknown): Promise<void> {
    if (hasFailureType(error, FENCED)) throw error;
    try {
      await control.checkPlanState({ run: this.run });
    } catch (refusal) {
      // Where the state cannot be read, it is not known; what failed is told, and the next step will ask again.
      if (hasFailureType(refusal, FENCED) || isCancellation(refusal)) throw refusal;
    }
  }

  private async untilRetried(error: unknown): Promise<RetryRequest | undefined> {
    const before = this.retries;
    this.waitingSteps++;
    await this.report(causeMessage(error));
    await condition(() => this.retries > before);
    this.waitingSteps--;
    await this.report(undefined);
    return this.latest;
  }
}
