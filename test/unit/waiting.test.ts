import { EC2ServiceException } from '@aws-sdk/client-ec2';
import { type WaitOptions, waitFor } from '../../activities/aws-proxy/account/waiting';
import { quietEnvironment } from '../support/failover-site';

const awsError = (name: string, httpStatusCode = 400): EC2ServiceException =>
  new EC2ServiceException({ name, message: name, $fault: 'client', $metadata: { httpStatusCode } });

/** Waits, in an activity, for looks that end so: an error, or what was seen. The last one stays. */
async function waiting(looks: unknown[], options: WaitOptions = {}) {
  let taken = 0;
  const look = async (): Promise<unknown> => {
    const outcome = looks[Math.min(taken++, looks.length - 1)];
    if (outcome instanceof Error) throw outcome;
    return Promise.resolve(outcome);
  };
  const outcome: { seen?: unknown; error?: unknown } = await quietEnvironment().run(() =>
    waitFor('a test', look, { pollSeconds: 0.001, ...options }).then(
      (seen) => ({ seen }),
      (error: unknown) => ({ error }),
    ),
  );
  return { ...outcome, taken };
}

describe('a wait', () => {
  it.each([
    awsError('RequestLimitExceeded', 503),
    awsError('Throttling'),
    awsError('PriorRequestNotComplete'),
    awsError('Unheard', 429),
  ])('looks again after a look that was refused: %s', async (refusal) => {
    expect(await waiting([refusal, undefined, refusal, refusal, 'seen'])).toEqual({ seen: 'seen', taken: 5 });
  });

  it.each([
    awsError('InternalError', 500),
    awsError('ServiceUnavailable', 503),
    awsError('UnauthorizedOperation', 403),
    awsError('InsufficientInstanceCapacity', 500),
    Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
    new TypeError('a bug'),
  ])('ends with any other error, at once: %s', async (error) => {
    expect(await waiting([undefined, error, 'seen'])).toEqual({ error, taken: 2 });
  });

  it('ends at its limit, refused or not, and says what it knows', async () => {
    const refusal = awsError('RequestLimitExceeded', 503);
    // Nothing was seen by the last look, so nothing is said of what was waited for.
    expect(await waiting([undefined, refusal], { limitSeconds: 0.3 })).toMatchObject({ error: refusal });
    const inVain = { error: { type: 'StillWaiting', nonRetryable: false } };
    expect(await waiting([refusal, undefined], { limitSeconds: 0.3 })).toMatchObject(inVain);
  });

  it('pauses no longer than its limit allows', async () => {
    const { error, taken } = await waiting([undefined], { pollSeconds: 30, limitSeconds: 0.05 });
    expect(error).toMatchObject({ type: 'StillWaiting' });
    // One at the limit, not the first one only.
    expect(taken).toBeGreaterThan(1);
  });
});
