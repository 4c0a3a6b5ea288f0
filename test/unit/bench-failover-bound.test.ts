import { bucketSeconds, leastSeconds, type Way } from '../../bench/failover/bound';
import { tieredPlan, tierSizes } from '../../bench/failover/plans';
import { checkPlan } from '../../plan/check';
import { planFileSchema } from '../../plan/schema';
import { bucketSize } from '../../sandbox/aws/request-limits';

/** RunInstances has a bucket of 5 that gets 2 a second, RegisterImage one of 50 that gets 5. */
const launches: Way = { ahead: [], inTurn: [{ bucket: 'ec2:RunInstances', seconds: 15 }] };
const registered: Way = { ...launches, ahead: [[{ bucket: 'ec2:RegisterImage', seconds: 0 }]] };

describe('the least seconds of a failover', () => {
  it('takes what a bucket holds at once, and then as fast as it refills', () => {
    expect(leastSeconds(launches, [5])).toBe(15);
    expect(leastSeconds(launches, [6])).toBe(15.5);
    expect(leastSeconds(launches, [105])).toBe(65);
  });

  it('waits for the tier before, while which the bucket fills again', () => {
    // 2 of the 5 are there at once in the second tier, too: 15 seconds give back more than the bucket holds.
    expect(leastSeconds(launches, [1, 1])).toBe(30);
    expect(leastSeconds(launches, [25, 25])).toBe(50);
    expect(leastSeconds(launches, [250, 250, 250, 250])).toBe(4 * (122.5 + 15));
  });

  it('has what can be done beforehand done beside what others wait for', () => {
    expect(leastSeconds(registered, [250, 250, 250, 250])).toBe(4 * (122.5 + 15));
    // 1000 images take 190 seconds, which are more than a few launches behind them.
    const slow: Way = { ahead: [[{ bucket: 'ec2:RegisterImage', seconds: 100 }]], inTurn: [] };
    expect(leastSeconds(slow, [1000])).toBeCloseTo(290);
  });

  it('counts chains beside each other by the longer one', () => {
    const step = (bucket: string, seconds: number) => ({ bucket, seconds });
    const way: Way = {
      ahead: [[step('ec2:CreateVolume', 4), step('ec2:AttachVolume', 4)], [step('ec2:RunInstances', 15)]],
      inTurn: [step('ec2:StartInstances', 15)],
    };
    expect(leastSeconds(way, [1])).toBe(30);
  });

  it('refuses a bucket that is not limited', () => {
    const way: Way = { ahead: [], inTurn: [{ bucket: 's3:GetObject', seconds: 0 }] };
    expect(() => leastSeconds(way, [1])).toThrow('s3:GetObject');
  });
});

it("has a bucket's seconds for all of its calls", () => {
  expect(bucketSeconds('ec2:RunInstances', 1000)).toBe(497.5);
  expect(bucketSeconds('ec2:RunInstances', 3)).toBe(0);
  expect(bucketSeconds('s3:GetObject', 10_000)).toBe(0);
});

it('knows the sizes of buckets by their names', () => {
  expect(bucketSize('ec2:DescribeInstances')).toEqual({ burst: 100, perSecond: 20 });
  expect(bucketSize('ec2:DescribeInstances (unfiltered)')).toEqual({ burst: 50, perSecond: 10 });
  expect(bucketSize('ec2:CreateTags')).toEqual({ burst: 100, perSecond: 10 });
  expect(bucketSize('route53:GetChange')).toEqual({ burst: 5, perSecond: 5 });
  expect(bucketSize('ebs:StartSnapshot')).toEqual({ burst: 10, perSecond: 10 });
  expect(bucketSize('ebs:PutSnapshotBlock')).toBeUndefined();
  expect(bucketSize('s3:GetObject')).toBeUndefined();
});

describe('plans', () => {
  it.each([
    [1000, [250, 250, 250, 250]],
    [10, [3, 2, 3, 2]],
    [2, [1, 1]],
  ])('puts %d VMs into tiers of about the same size', (vms, sizes) => {
    expect(tierSizes(vms, 4)).toEqual(sizes);
  });

  it('has every VM depend on the last ones of the tier before, and is a plan that can be loaded', () => {
    const plan = tieredPlan('large', 'l', [300, 300], true);
    expect(plan.vms[599]?.dependsOn).toHaveLength(10);
    expect(plan.vms[599]?.dependsOn).toContain(plan.vms[299]?.name);
    expect(checkPlan(planFileSchema.parse(plan))).toEqual([]);
  });
});
