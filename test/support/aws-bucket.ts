import { type Clock } from '../../blocks/limits/rate-limit';

export const REFUSAL = new Error('RequestLimitExceeded');
export const isRefusal = (error: unknown): boolean => error === REFUSAL;

/** AWS's bucket, for all who use it, by the same clock. */
export class AwsBucket {
  admitted = 0;
  refused = 0;
  private tokens: number;
  private at = 0;

  constructor(
    private readonly clock: Clock,
    private readonly size: { burst: number; perSecond: number },
  ) {
    this.tokens = size.burst;
  }

  request(): boolean {
    const now = this.clock.now();
    this.tokens = Math.min(this.size.burst, this.tokens + ((now - this.at) / 1000) * this.size.perSecond);
    this.at = now;
    if (this.tokens < 1) {
      this.refused++;
      return false;
    }
    this.tokens -= 1;
    this.admitted++;
    return true;
  }

  call = (): Promise<void> => (this.request() ? Promise.resolve() : Promise.reject(REFUSAL));
}
