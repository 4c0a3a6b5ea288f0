import { AwsError } from '../wire/errors';

/** A bucket of `burst` tokens that fills by `perSecond`; a request takes its tokens (Amazon EC2 Developer Guide, throttling). */
export class TokenBucket {
  private tokens: number;
  private filledAt = performance.now();

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
  ) {
    if (!(perSecond > 0) || !(burst >= 1))
      throw new RangeError(
        `A bucket needs more than 0 tokens a second and room for one, not ${perSecond}, ${burst}.`,
      );
    this.tokens = burst;
  }

  has(tokens = 1): boolean {
    const now = performance.now();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) / 1000) * this.perSecond);
    this.filledAt = now;
    return this.tokens >= tokens;
  }

  take(tokens = 1): void {
    this.tokens -= tokens;
  }
}

/** How each service says that requests come too fast. */
export function tooFast(service: string, operation: string): AwsError {
  const message = `The rate of ${operation} requests is exceeded.`;
  switch (service) {
    case 'ec2':
      return new AwsError('RequestLimitExceeded', 'Request limit exceeded.', 503);
    case 'ebs':
      return new AwsError('RequestThrottledException', message, 400, { Reason: 'ACCOUNT_THROTTLED' });
    case 's3':
      return new AwsError('SlowDown', 'Please reduce your request rate.', 503);
    default:
      return new AwsError('Throttling', 'Rate exceeded', 400);
  }
}
