import { rootPrincipal } from '../../sandbox/aws/iam/principal';
import { limiting } from '../../sandbox/aws/limits';

const FILTER = { Filters: [{ Name: 'volume-id', Values: ['vol-1'] }] };
const principal = rootPrincipal('000000000000');
const IDS = { VolumeIds: ['vol-1'] };

describe("EC2's and Route 53's buckets at the endpoint", () => {
  beforeEach(() => jest.useFakeTimers({ now: 0 }));
  afterEach(() => jest.useRealTimers());

  /** How many of so many calls are admitted, at this instant. */
  function endpoint(requests = {}) {
    const intercept = limiting({ requests })!;
    return async (calls: number, operation: string, input = {}, service = 'ec2'): Promise<number> => {
      let admitted = 0;
      for (let n = 0; n < calls; n++)
        try {
          await intercept({ requestId: '', service, operation, input, principal }, () => Promise.resolve({}));
          admitted++;
        } catch (error) {
          expect(error).toMatchObject(
            service === 'ec2'
              ? { code: 'RequestLimitExceeded', status: 503 }
              : { code: 'Throttling', status: 400 },
          );
        }
      return admitted;
    };
  }

  it.each([
    ['RunInstances', {}, 5, 2],
    ['StartInstances', {}, 5, 2],
    ['CreateVolume', {}, 100, 5],
    ['CreateTags', {}, 100, 10],
    ['AttachVolume', {}, 50, 5],
    ['RegisterImage', {}, 50, 5],
    ['CreateReplaceRootVolumeTask', {}, 50, 5],
    ['DescribeReplaceRootVolumeTasks', FILTER, 100, 20],
    ['DescribeVolumes', IDS, 50, 10],
    ['DescribeVolumes', FILTER, 100, 20],
    ['DescribeVolumes', { MaxResults: 500 }, 100, 20],
    ['DescribeImages', {}, 100, 20],
  ])('%s with %j: %d at once, then %d a second', async (operation, input, burst, perSecond) => {
    const admitted = endpoint();
    expect(await admitted(burst + 10, operation, input)).toBe(burst);
    jest.advanceTimersByTime(1000);
    expect(await admitted(burst, operation, input)).toBe(perSecond);
    jest.advanceTimersByTime(3_600_000);
    expect(await admitted(burst + 10, operation, input)).toBe(burst);
  });

  it('are one for each action, and for lists with a filter and without', async () => {
    const admitted = endpoint();
    expect(await admitted(50, 'RunInstances')).toBe(5);
    expect(await admitted(60, 'DescribeVolumes', IDS)).toBe(50);
    expect(await admitted(5, 'StartInstances')).toBe(5);
    expect(await admitted(60, 'DescribeVolumes', FILTER)).toBe(60);
    expect(await admitted(60, 'DescribeInstances')).toBe(50);
  });

  it('hold instances, too; a refused request takes nothing', async () => {
    const admitted = endpoint();
    expect(await admitted(2, 'RunInstances', { MaxCount: 600 })).toBe(1);
    expect(await admitted(9, 'RunInstances', { MaxCount: 1 })).toBe(4);
    const InstanceIds = Array.from({ length: 600 }, (_, n) => `i-${n}`);
    expect(await admitted(2, 'StopInstances', { InstanceIds })).toBe(1);
  });

  it('are one for all of Route 53, and none for other services', async () => {
    const admitted = endpoint();
    expect(await admitted(3, 'GetChange', {}, 'route53')).toBe(3);
    expect(await admitted(10, 'ListHostedZones', {}, 'route53')).toBe(2);
    expect(await admitted(1000, 'GetObject', {}, 's3')).toBe(1000);
  });

  it('refill faster where that is asked for, and hold no more', async () => {
    const admitted = endpoint({ speed: 10 });
    expect(await admitted(9, 'RunInstances')).toBe(5);
    jest.advanceTimersByTime(200);
    expect(await admitted(9, 'RunInstances')).toBe(4);
    jest.advanceTimersByTime(60_000);
    expect(await admitted(9, 'RunInstances')).toBe(5);
  });
});
