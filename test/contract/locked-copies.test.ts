import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import {
  CreateVolumeCommand,
  DescribeLockedSnapshotsCommand,
  DescribeSnapshotsCommand,
  LockSnapshotCommand,
} from '@aws-sdk/client-ec2';
import { findDrCopy } from '../../activities/aws-proxy/account/dr-copy';
import { findLeftovers, type Needs, removeLeftovers } from '../../activities/aws-proxy/account/leftovers';
import { withoutLocked } from '../../activities/aws-proxy/account/locked-leftovers';
import { removeSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { tagList, type TagValues } from '../../activities/aws-proxy/account/tags';
import { heldBackups } from '../../activities/aws-proxy/restore/held-backups';
import { createLockActivities } from '../../activities/aws-proxy/restore/lock';
import { createDrCopyActivities } from '../../activities/aws-proxy/restore/publish';
import { type RunContext } from '../../plan/run';
import { type SnapshotLock } from '../../plan/snapshot-lock';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { eventually } from './aws-harness';
import { failureOf, runActivity } from './run-activity';
import { letHold, startTestAccount, type TestAccount } from './test-account';

/** A day of a lock takes 0.3 s here, so that one of a year lasts for any test. */
const TIMES = { lockDay: 0.3 };
const DISKS = [
  { key: 'system', sizeBytes: 2 ** 30, slot: 0, boot: true },
  { key: 'data', sizeBytes: 2 ** 30, slot: 1, boot: false },
];
const DAY = 86_400;
const YEAR: SnapshotLock = { every: DAY, keep: 365 * DAY, mode: 'governance' };

let account: TestAccount;
/** Operations that the endpoint refuses, as where the role may not. */
let refused: string[] = [];
/** The code by which a locked snapshot is not deleted: AWS's own is in none of its lists. */
let refusesBy: string | undefined;
const calls: string[] = [];
let vms = 0;
let vm: string;
let run: RunContext;

beforeAll(async () => {
  account = await startTestAccount(async ({ operation }, handle) => {
    calls.push(operation);
    if (refused.includes(operation))
      throw new AwsError('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403);
    try {
      return await handle();
    } catch (error) {
      if (error instanceof AwsError && error.code === 'SnapshotLocked' && refusesBy !== undefined)
        throw new AwsError(refusesBy, error.message);
      throw error;
    }
  }, TIMES);
});
afterAll(() => account.close());
beforeEach(async () => {
  vm = `db${(vms += 1)}`;
  refused = [];
  refusesBy = undefined;
  const { address, store } = account.newRepository();
  run = await letHold(store, {
    ...{ plan: 'shop', digest: 'a'.repeat(64), repository: address, runId: 'run', generation: 1 },
  });
});

/** The nth backup, one an hour. */
const point = (n: number) => ({
  recoveryPoint: `20260101T0${n}0000Z-0000000${n}`,
  takenAt: `2026-01-01T0${n}:00:00.000Z`,
});

async function drCopy(n: number, tags: Partial<TagValues> = {}): Promise<string[]> {
  const ids: string[] = [];
  for (const disk of DISKS) {
    const Tags = tagList({
      ...{ plan: 'shop', vm, run: `run-${n}`, role: 'dr-copy', disk: disk.key, sizeBytes: disk.sizeBytes },
      ...{ slot: disk.slot, boot: disk.boot, diskCount: DISKS.length, attempt: 1, blockMap: '0'.repeat(64) },
      ...point(n),
      ...tags,
    });
    const { SnapshotId = '' } = await account.clients.ebs.send(
      new StartSnapshotCommand({ VolumeSize: 1, Tags }),
    );
    await account.clients.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
    ids.push(SnapshotId);
  }
  await eventually(
    () => listed(ids),
    (found) => found.every(({ State }) => State === 'completed'),
  );
  return ids;
}

const listed = async (ids: string[]) =>
  (
    await account.clients.ec2.send(
      new DescribeSnapshotsCommand({ Filters: [{ Name: 'snapshot-id', Values: ids }] }),
    )
  ).Snapshots ?? [];
const there = async (ids: string[]): Promise<(string | undefined)[]> =>
  (await listed(ids)).map(({ SnapshotId }) => SnapshotId).sort();
const locksOf = async (ids: string[]) =>
  (await account.clients.ec2.send(new DescribeLockedSnapshotsCommand({ SnapshotIds: ids }))).Snapshots ?? [];
const untilExpired = (ids: string[]) =>
  eventually(
    () => locksOf(ids),
    (locks) => locks.every(({ LockState }) => LockState === 'expired'),
  );

const lock = (n: number, wanted = YEAR, daysLater = 0) => {
  const { ec2 } = account.clients;
  const now = (): Date => new Date(Date.now() + daysLater * DAY * 1000);
  const { lockDrCopy } = createLockActivities({ ec2, objectStore: account.objectStore, now });
  return runActivity(lockDrCopy, { run, vm, recoveryPoint: point(n).recoveryPoint, lock: wanted });
};
const deleteReplaced = (n: number) => {
  const { ec2 } = account.clients;
  const { deleteReplacedDrCopies } = createDrCopyActivities({ ec2, objectStore: account.objectStore });
  return runActivity(deleteReplacedDrCopies, { run, vm, keep: point(n).recoveryPoint });
};
const needs = (more: Partial<Needs> = {}): Needs => ({
  ...{ plan: 'shop', phase: 'protected' as const, holder: 'run', liveRuns: new Set<string>() },
  ...{ madeBefore: new Date(Date.now() + 1000), ...more },
});
const ownLeftovers = async (more: Partial<Needs> = {}) =>
  (await findLeftovers(account.clients.ec2, needs(more))).filter((one) => one.vm === vm);

describe('locking', () => {
  it('locks all snapshots of the DR copy once a day, and again when a day has passed', async () => {
    const first = await drCopy(1);
    const locked = await lock(1);
    expect(locked).toMatchObject({ outcome: 'locked', ...point(1) });
    const locks = await locksOf(first);
    expect(locks.map(({ LockState, LockDuration }) => [LockState, LockDuration])).toEqual([
      ['governance', 365],
      ['governance', 365],
    ]);
    // Twice is once.
    expect(await lock(1)).toEqual({ ...locked, outcome: 'kept' });
    const second = await drCopy(2);
    expect(await lock(2)).toEqual({ ...locked, outcome: 'kept' });
    expect(await locksOf(second)).toEqual([]);
    expect(await lock(2, YEAR, 1)).toMatchObject({ outcome: 'locked', ...point(2) });
    expect(await locksOf(second)).toHaveLength(2);
    expect(await locksOf(first)).toEqual(locks);
  });

  it('makes the lock of a DR copy no longer while nothing newer comes', async () => {
    const ids = await drCopy(1);
    await lock(1);
    const before = await locksOf(ids);
    expect(await lock(1, YEAR, 3)).toMatchObject({ outcome: 'kept' });
    expect(await locksOf(ids)).toEqual(before);
  });

  it('goes on where a try before it came to an end half-way', async () => {
    const ids = await drCopy(1);
    await account.clients.ec2.send(
      new LockSnapshotCommand({ SnapshotId: ids[0], LockMode: 'governance', LockDuration: 365 }),
    );
    const before = await locksOf(ids.slice(0, 1));
    expect(await lock(1)).toMatchObject({ outcome: 'locked' });
    expect(await locksOf(ids.slice(0, 1))).toEqual(before);
    expect(await locksOf(ids.slice(1))).toHaveLength(1);
  });

  it('is of compliance, with the cool-off that was asked for', async () => {
    const ids = await drCopy(1);
    await lock(1, { ...YEAR, mode: 'compliance', coolOff: 48 * 3600 });
    expect(await locksOf(ids)).toMatchObject([{ CoolOffPeriod: 48 }, { CoolOffPeriod: 48 }]);
    await drCopy(2);
    expect(await lock(2, { ...YEAR, mode: 'compliance', coolOff: 'none' }, 1)).toMatchObject({
      outcome: 'locked',
    });
  });

  it('does nothing for a run that another has fenced off, and says what the role may not', async () => {
    const ids = await drCopy(1);
    refused = ['LockSnapshot'];
    const failure = await failureOf(lock(1));
    expect(failure).toMatchObject({ type: 'NotPermitted', nonRetryable: true });
    expect(failure.message).toContain('ec2:LockSnapshot');
    refused = [];
    await letHold(account.objectStore(run.repository), { ...run, runId: 'other', generation: 2 });
    expect(await failureOf(lock(1))).toMatchObject({ type: 'Fenced', nonRetryable: true });
    expect(await locksOf(ids)).toEqual([]);
  });
});

describe('a replaced DR copy that is locked', () => {
  it('stays as an older recovery point, and goes with the first restore after its lock has ended', async () => {
    const older = await drCopy(1);
    await lock(1);
    const newer = await drCopy(2);
    expect(await deleteReplaced(2)).toEqual({ deleted: [] });
    expect((await findDrCopy(account.clients.ec2, 'shop', vm))?.disks.map((d) => d.snapshotId)).toEqual(
      newer,
    );
    // A year passes: a lock of governance can be made shorter.
    for (const SnapshotId of older)
      await account.clients.ec2.send(
        new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', LockDuration: 1 }),
      );
    await untilExpired(older);
    expect((await deleteReplaced(2)).deleted.sort()).toEqual([...older].sort());
    expect(await there([...older, ...newer])).toEqual([...newer].sort());
  });

  it('is not asked to go while it is locked, and its backup is kept for it', async () => {
    const older = await drCopy(1);
    await lock(1);
    const newer = await drCopy(2);
    const oldest = await drCopy(0);
    calls.length = 0;
    expect((await deleteReplaced(2)).deleted.sort()).toEqual([...oldest].sort());
    expect(calls.filter((operation) => operation === 'DeleteSnapshot')).toHaveLength(oldest.length);
    expect(await there([...older, ...newer])).toEqual([...older, ...newer].sort());
    expect([...(await heldBackups(account.clients.ec2, vm))].sort()).toEqual([
      point(1).recoveryPoint,
      point(2).recoveryPoint,
    ]);
  });

  it.each([
    ['the role may not ask for locks', ['DescribeLockedSnapshots']],
    ['it may', []],
  ])('fails no restore of a plan without locks where %s', async (_where, without) => {
    const older = await drCopy(1);
    await lock(1);
    await drCopy(2);
    refused = without;
    expect(await deleteReplaced(2)).toEqual({ deleted: [] });
    refused = [];
    expect(await there(older)).toEqual([...older].sort());
  });

  it('is no leftover, and a sweep that does not know of the lock leaves it and comes to an end', async () => {
    const older = await drCopy(1);
    await lock(1);
    const oldest = await drCopy(0);
    await drCopy(2);
    const all = await ownLeftovers();
    const { leftovers, locked } = await withoutLocked(account.clients.ec2, all);
    expect(leftovers.map(({ id }) => id).sort()).toEqual([...oldest].sort());
    expect(locked.map(({ id }) => id).sort()).toEqual([...older].sort());
    const ends = (await locksOf(older)).map(({ LockExpiresOn }) => LockExpiresOn?.toISOString());
    expect(ends).toEqual(expect.arrayContaining(locked.map(({ until }) => until)));
    const ids = new Set(all.map(({ id }) => id));
    const removed = await removeLeftovers(account.clients.ec2, needs(), ids, { pollSeconds: 0.05 });
    expect(removed).toEqual([...oldest].sort());
    expect(await there(older)).toEqual([...older].sort());
  });

  it('stays while the application runs on what was booted from it, also when its lock has ended', async () => {
    const older = await drCopy(1);
    await drCopy(2);
    const ids = async () => (await ownLeftovers({ phase: 'failed-over' })).map(({ id }) => id).sort();
    expect(await ids()).toEqual([...older].sort());
    // What a failover to its recovery point has made.
    const Tags = tagList({ plan: 'shop', vm, run: 'run', role: 'recovery', ...point(1) });
    await account.clients.ec2.send(
      new CreateVolumeCommand({
        ...{ AvailabilityZone: 'eu-central-1a', Size: 1, VolumeType: 'gp3' },
        TagSpecifications: [{ ResourceType: 'volume', Tags }],
      }),
    );
    expect(await ids()).toEqual([]);
  });

  it.each([undefined, 'OperationNotPermitted', 'InvalidParameterValue'])(
    "ends no clean-up that deletes a run's snapshots, of which somebody has locked one (by the code %s)",
    async (code) => {
      refusesBy = code;
      const ids = await drCopy(3, { role: 'failback' });
      await account.clients.ec2.send(
        new LockSnapshotCommand({ SnapshotId: ids[0], LockMode: 'governance', LockDuration: 365 }),
      );
      const failback = { plan: 'shop', vm, role: 'failback' } as const;
      const clean = (tags: typeof failback) => removeSnapshots(account.clients.ec2, tags, 0.05);
      expect(await runActivity(clean, failback)).toEqual([ids[1]]);
      expect(await there(ids)).toEqual([ids[0]]);
    },
  );
});
