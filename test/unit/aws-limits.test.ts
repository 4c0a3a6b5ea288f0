import { rootPrincipal } from '../../sandbox/aws/iam/principal';
import { limiting } from '../../sandbox/aws/limits';
import { AwsError } from '../../sandbox/aws/wire/errors';

const call = (operation: string, SnapshotId = 'snap-1') => ({
  requestId: '',
  service: 'ebs',
  operation,
  input: { SnapshotId },
  principal: rootPrincipal('000000000000'),
});
const handle = () => Promise.resolve({});

describe('limits and latency of the endpoint', () => {
  beforeEach(() => jest.useFakeTimers({ now: 0 }));
  afterEach(() => jest.useRealTimers());

  it('are nothing unless asked for', () => {
    expect(limiting()).toBeUndefined();
    expect(() => limiting({ ebsDirect: { putPerSecond: 0 } })).toThrow(RangeError);
  });

  it('hold a request back', async () => {
    jest.useRealTimers();
    const handled = jest.fn(handle);
    const answer = limiting({}, 1)!(call('ListSnapshotBlocks'), handled);
    await Promise.resolve();
    expect(handled).not.toHaveBeenCalled();
    await answer;
    expect(handled).toHaveBeenCalledTimes(1);
  });

  it('admit the rate, after a burst of a tenth of a second', async () => {
    const intercept = limiting({ ebsDirect: { putPerSecond: 100 } })!;
    let admitted = 0;
    const ask = async (times: number) => {
      for (let n = 0; n < times; n++)
        try {
          await intercept(call('PutSnapshotBlock', `snap-${n}`), handle);
          admitted++;
        } catch (error) {
          expect(error).toBeInstanceOf(AwsError);
        }
    };
    await ask(30);
    expect(admitted).toBe(10);
    jest.advanceTimersByTime(50);
    await ask(30);
    expect(admitted).toBe(15);
    await intercept(call('GetSnapshotBlock'), handle);
  });
});
