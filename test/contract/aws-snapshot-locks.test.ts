import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import {
  DeleteSnapshotCommand,
  DescribeLockedSnapshotsCommand,
  DescribeSnapshotsCommand,
  LockSnapshotCommand,
  type LockSnapshotCommandInput,
  UnlockSnapshotCommand,
} from '@aws-sdk/client-ec2';
import { AwsHarness, eventually, failure } from './aws-harness';

/** A day of a lock takes 0.5 s here. */
const DAY_MS = 500;

describe('locks on snapshots', () => {
  const aws = new AwsHarness();
  beforeAll(() => {
    aws.config.times = { ...aws.config.times, lockDay: DAY_MS / 1000 };
    return aws.start();
  });
  afterAll(() => aws.stop());

  async function snapshot(complete = true): Promise<string> {
    const { SnapshotId = '' } = await aws.ebs().send(new StartSnapshotCommand({ VolumeSize: 1 }));
    if (complete) await completed(SnapshotId);
    return SnapshotId;
  }
  async function completed(SnapshotId: string): Promise<void> {
    await aws.ebs().send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
    await eventually(
      async () =>
        (await aws.ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }))).Snapshots?.[0]
          ?.State,
      (state) => state === 'completed',
    );
  }
  const lock = (SnapshotId: string, more: Partial<LockSnapshotCommandInput> = {}) =>
    aws
      .ec2()
      .send(new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', LockDuration: 1000, ...more }));
  const unlock = (SnapshotId: string) => aws.ec2().send(new UnlockSnapshotCommand({ SnapshotId }));
  const remove = (SnapshotId: string) => aws.ec2().send(new DeleteSnapshotCommand({ SnapshotId }));
  const lockOf = async (SnapshotId: string) =>
    (await aws.ec2().send(new DescribeLockedSnapshotsCommand({ SnapshotIds: [SnapshotId] }))).Snapshots?.[0];

  it('keep a snapshot from being deleted, also over a restart of the endpoint, until somebody unlocks it', async () => {
    const id = await snapshot();
    expect(await lockOf(id)).toBeUndefined();
    const locked = await lock(id);
    expect(locked).toMatchObject({ SnapshotId: id, LockState: 'governance', LockDuration: 1000 });
    expect(Number(locked.LockExpiresOn) - Number(locked.LockCreatedOn)).toBe(1000 * DAY_MS);
    expect(locked.LockDurationStartTime).toEqual(locked.LockCreatedOn);
    expect(locked.CoolOffPeriod).toBeUndefined();
    await aws.restart();
    const { $metadata: _, ...told } = locked;
    expect(await lockOf(id)).toEqual({ ...told, OwnerId: '000000000000' });
    expect(await failure(remove(id))).toMatchObject({ name: 'SnapshotLocked', status: 400 });
    await unlock(id);
    expect(await lockOf(id)).toBeUndefined();
    expect(await failure(unlock(id))).toMatchObject({ name: 'IncorrectState' });
    await remove(id);
  });

  it('end by themselves, and are told of as expired', async () => {
    const id = await snapshot();
    await lock(id, { LockMode: 'compliance', LockDuration: 1 });
    expect(await failure(remove(id))).toMatchObject({ name: 'SnapshotLocked' });
    await eventually(
      () => lockOf(id),
      (found) => found?.LockState === 'expired',
    );
    await remove(id);
    expect(await failure(lockOf(id))).toMatchObject({ name: 'InvalidSnapshot.NotFound' });
  });

  it('of a pending snapshot begin when it is completed', async () => {
    const id = await snapshot(false);
    const locked = await lock(id);
    expect([locked.LockExpiresOn, locked.LockDurationStartTime]).toEqual([undefined, undefined]);
    expect(await failure(remove(id))).toMatchObject({ name: 'SnapshotLocked' });
    await completed(id);
    const { LockExpiresOn, LockDurationStartTime } = (await lockOf(id))!;
    expect(Number(LockExpiresOn) - Number(LockDurationStartTime)).toBe(1000 * DAY_MS);
  });

  it('of compliance can be undone in their cool-off only, and then be made longer', async () => {
    const cooling = await snapshot();
    const locked = await lock(cooling, { LockMode: 'compliance', CoolOffPeriod: 48 });
    expect(locked).toMatchObject({ LockState: 'compliance-cooloff', CoolOffPeriod: 48 });
    expect(Number(locked.CoolOffPeriodExpiresOn) - Number(locked.LockCreatedOn)).toBe(2 * DAY_MS);
    expect(await failure(remove(cooling))).toMatchObject({ name: 'SnapshotLocked' });
    await unlock(cooling);

    await lock(cooling, { LockMode: 'compliance', CoolOffPeriod: 12 });
    await eventually(
      () => lockOf(cooling),
      (found) => found?.LockState === 'compliance',
    );
    expect(await failure(unlock(cooling))).toMatchObject({ name: 'IncorrectState' });
    const refused = { name: 'InvalidParameterCombination' };
    expect(await failure(lock(cooling))).toMatchObject(refused);
    const compliance = { LockMode: 'compliance' as const };
    expect(await failure(lock(cooling, { ...compliance, LockDuration: 5 }))).toMatchObject(refused);
    expect(
      await failure(lock(cooling, { ...compliance, LockDuration: 2000, CoolOffPeriod: 1 })),
    ).toMatchObject(refused);
    expect(await lock(cooling, { ...compliance, LockDuration: 2000 })).toMatchObject({ LockDuration: 2000 });
  });

  it('of governance can be made shorter or longer, or end at a date', async () => {
    const id = await snapshot();
    await lock(id);
    const end = new Date(Date.now() + 3_600_000);
    const dated = await lock(id, { LockDuration: undefined, ExpirationDate: end });
    expect([dated.LockDuration, dated.LockExpiresOn]).toEqual([undefined, end]);
    await lock(id, { LockDuration: 1 });
    await eventually(
      () => lockOf(id),
      (found) => found?.LockState === 'expired',
    );
  });

  it.each<[string, Partial<LockSnapshotCommandInput>, string]>([
    ['no end', { LockDuration: undefined }, 'MissingParameter'],
    ['two ends', { ExpirationDate: new Date(Date.now() + 1e9) }, 'InvalidParameterCombination'],
    ['no time', { LockDuration: 0 }, 'InvalidParameterValue'],
    ['more than a hundred years', { LockDuration: 36_501 }, 'InvalidParameterValue'],
    [
      'an end that is over',
      { LockDuration: undefined, ExpirationDate: new Date(0) },
      'InvalidParameterValue',
    ],
    ['a cool-off in governance mode', { CoolOffPeriod: 1 }, 'InvalidParameterCombination'],
    ['a cool-off of four days', { LockMode: 'compliance', CoolOffPeriod: 96 }, 'InvalidParameterValue'],
    ['another mode', { LockMode: 'forever' as 'governance' }, 'InvalidParameterValue'],
    ['no change', { DryRun: true }, 'DryRunOperation'],
  ])('are not made with %s', async (_what, more, name) => {
    const id = await snapshot();
    expect(await failure(lock(id, more))).toMatchObject({ name });
    expect(await lockOf(id)).toBeUndefined();
  });

  it('are listed by state, in pages', async () => {
    const ids = [await snapshot(), await snapshot(), await snapshot()];
    for (const id of ids) await lock(id, { LockMode: 'compliance' });
    const filters = [{ Name: 'lock-state', Values: ['compliance', 'compliance-cooloff'] }];
    const found: (string | undefined)[] = [];
    let NextToken: string | undefined;
    do {
      const page = await aws
        .ec2()
        .send(new DescribeLockedSnapshotsCommand({ Filters: filters, MaxResults: 5, NextToken }));
      found.push(...(page.Snapshots ?? []).map(({ SnapshotId }) => SnapshotId));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    expect(found).toEqual(expect.arrayContaining(ids));
    expect(new Set(found).size).toBe(found.length);
    const other = new DescribeLockedSnapshotsCommand({ Filters: [{ Name: 'tag:x', Values: ['y'] }] });
    expect(await failure(aws.ec2().send(other))).toMatchObject({ name: 'InvalidParameterValue' });
  });
});
