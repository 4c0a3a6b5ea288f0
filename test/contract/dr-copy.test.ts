import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { type RestorePlan } from '../../activities/aws-proxy/restore/contract';
import { findDrCopies, findDrCopy } from '../../activities/aws-proxy/account/dr-copy';
import { createDrCopyActivities } from '../../activities/aws-proxy/restore/publish';
import { tagList, type TagValues } from '../../activities/aws-proxy/account/tags';
import { type RepositoryAddress, type RunContext } from '../../plan/run';
import { writeManifest } from '../../repository/backups/backups';
import { pinBackups, readPins } from '../../repository/backups/pins';
import { failureOf, runActivity } from './run-activity';
import { letHold, manifestOf, startTestAccount, type TestAccount } from './test-account';

const MIB = 2 ** 20;
const DISKS = [
  { key: 'system', sizeBytes: 700 * MIB + 512, slot: 0, boot: true },
  { key: 'data', sizeBytes: 100 * MIB, slot: 1, boot: false },
];

let account: TestAccount;
let address: RepositoryAddress;
let vms = 0;
/** A VM of its own for every test. */
let vm: string;

beforeAll(async () => {
  account = await startTestAccount();
});
afterAll(() => account.close());
beforeEach(() => {
  ({ address } = account.newRepository());
  vms += 1;
  vm = `db${vms}`;
});

const activities = () =>
  createDrCopyActivities({ ec2: account.clients.ec2, objectStore: account.objectStore, pollSeconds: 0.05 });
const run = (runId: string): RunContext => ({
  plan: 'shop',
  digest: 'a'.repeat(64),
  repository: address,
  runId,
  generation: 1,
});
/** The nth backup, one an hour. */
const point = (n: number) => ({
  recoveryPoint: `20260101T0${n}0000Z-0000000${n}`,
  takenAt: `2026-01-01T0${n}:00:00.000Z`,
});
const restorePlan = (n: number): RestorePlan => ({
  ...point(n),
  upToDate: false,
  kind: 'full',
  disks: DISKS.map((disk) => ({ ...disk, volumeGiB: 1, blocks: 0, extents: [] })),
});

interface SnapshotSpec {
  disk?: (typeof DISKS)[number];
  complete?: boolean;
  gib?: number;
  tags?: Partial<TagValues>;
}

/** An empty snapshot with the tags that a restore gives it. */
async function snapshot(runId: string, n: number, spec: SnapshotSpec = {}): Promise<string> {
  const disk = spec.disk ?? DISKS[0]!;
  const Tags = tagList({
    plan: 'shop',
    vm,
    run: runId,
    role: 'dr-copy',
    disk: disk.key,
    sizeBytes: disk.sizeBytes,
    slot: disk.slot,
    boot: disk.boot,
    diskCount: DISKS.length,
    ...point(n),
    attempt: 1,
    blockMap: '0'.repeat(64),
    ...spec.tags,
  });
  const { SnapshotId } = await account.clients.ebs.send(
    new StartSnapshotCommand({ VolumeSize: spec.gib ?? 1, Tags }),
  );
  if (spec.complete ?? true)
    await account.clients.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
  return SnapshotId!;
}

async function snapshotSet(runId: string, n: number, spec: SnapshotSpec = {}): Promise<string[]> {
  const ids: string[] = [];
  for (const disk of DISKS) ids.push(await snapshot(runId, n, { ...spec, disk }));
  return ids;
}

async function listed(ids: string[]): Promise<Record<string, { state?: string; role?: string }>> {
  const { Snapshots } = await account.clients.ec2.send(
    new DescribeSnapshotsCommand({ Filters: [{ Name: 'snapshot-id', Values: ids }] }),
  );
  return Object.fromEntries(
    (Snapshots ?? []).map(({ SnapshotId, State, Tags }) => [
      SnapshotId,
      { state: State, role: Tags?.find(({ Key }) => Key === 'lifeboat:role')?.Value },
    ]),
  );
}
const untilCompleted = async (ids: string[]): Promise<void> => {
  while (Object.values(await listed(ids)).some(({ state }) => state === 'pending'))
    await new Promise((resolve) => setTimeout(resolve, 20));
};

/** The DR copy of the VM, which a look for all of the plan's finds as well. */
const find = async () => {
  const found = await findDrCopy(account.clients.ec2, 'shop', vm);
  expect((await findDrCopies(account.clients.ec2, 'shop')).get(vm)).toEqual(found);
  return found;
};
const holding = (runId: string) => letHold(account.objectStore(address), run(runId));
const publishUnpinned = async (runId: string, n: number, ids: string[]) =>
  runActivity(activities().publishDrCopy, {
    run: await holding(runId),
    vm,
    restore: restorePlan(n),
    snapshots: DISKS.map(({ key }, index) => ({ diskKey: key, snapshotId: ids[index]! })),
  });
const publish = async (runId: string, n: number, ids: string[]) => {
  // As planRestore does before the first snapshot.
  await pinBackups(account.objectStore(address), vm, { runId }, [point(n).recoveryPoint]);
  return publishUnpinned(runId, n, ids);
};

describe('the DR copy', () => {
  it('is the newest set that is whole', async () => {
    const older = await snapshotSet('run-a', 1);
    const half = await snapshot('run-b', 2);
    await untilCompleted([...older, half]);
    expect(await find()).toEqual({
      vm,
      ...point(1),
      runId: 'run-a',
      disks: DISKS.map((disk, index) => ({
        ...disk,
        snapshotId: older[index],
        volumeGiB: 1,
        blockMapSha256: '0'.repeat(64),
      })),
    });
    const other = await snapshot('run-b', 2, { disk: DISKS[1] });
    await untilCompleted([other]);
    expect(await find()).toMatchObject({ ...point(2), disks: [{ snapshotId: half }, { snapshotId: other }] });
  });

  it('has its disks in the order of the controllers', async () => {
    const ids = [
      await snapshot('run-a', 1, { disk: DISKS[1], tags: { slot: 0, controller: 'sata:0' } }),
      await snapshot('run-a', 1, { tags: { slot: 0, controller: 'pvscsi:3' } }),
    ];
    await untilCompleted(ids);
    expect((await find())?.disks).toMatchObject([
      { key: 'system', controller: { kind: 'pvscsi', bus: 3 } },
      { key: 'data', controller: { kind: 'sata', bus: 0 } },
    ]);
  });

  it('is never a mix of two sets', async () => {
    const ids = [
      await snapshot('run-a', 1, { disk: DISKS[0] }),
      await snapshot('run-a', 2, { disk: DISKS[1] }),
      await snapshot('run-b', 1, { disk: DISKS[1] }),
    ];
    await untilCompleted(ids);
    expect(await find()).toBeUndefined();
  });

  it.each<[string, SnapshotSpec]>([
    ['was not published', { tags: { role: 'pending-copy' } }],
    ['is not completed', { complete: false }],
    ['is of another VM', { tags: { vm: 'other' } }],
    ['is of another plan', { tags: { plan: 'other' } }],
    ['is of the same disk', { disk: DISKS[0] }],
    ['is another boot disk', { tags: { boot: true } }],
    ['was taken at another time', { tags: { takenAt: '2026-01-01T05:00:00.000Z' } }],
    ['is in the same place', { tags: { slot: 0 } }],
    ['is in the same place, by the controller', { tags: { slot: 0, controller: 'pvscsi:0' } }],
    ['counts other disks', { tags: { diskCount: 3 } }],
    ['is smaller than its disk', { tags: { sizeBytes: 2 ** 31 } }],
  ])('is not a set of which one snapshot %s', async (_why, spec) => {
    const ids = [await snapshot('run-a', 1), await snapshot('run-a', 1, { disk: DISKS[1], ...spec })];
    await untilCompleted(spec.complete === false ? ids.slice(0, 1) : ids);
    expect(await find()).toBeUndefined();
  });
});

describe('publishing', () => {
  beforeEach(() => writeManifest(account.objectStore(address), manifestOf(vm, point(1), DISKS)));

  it('makes a completed set the DR copy, with the hardware that its backup tells', async () => {
    const ids = await snapshotSet('run-a', 1, { tags: { role: 'pending-copy' } });
    const copy = await publish('run-a', 1, ids);
    expect(copy).toEqual({
      vm,
      ...point(1),
      configuration: manifestOf(vm, point(1), DISKS).configuration,
      disks: DISKS.map((disk, index) => ({ ...disk, snapshotId: ids[index], volumeGiB: 1 })),
    });
    expect(await publish('run-a', 1, ids)).toEqual(copy);
    expect((await find())?.disks.map(({ snapshotId }) => snapshotId)).toEqual(ids);
  });

  it('says with the DR copy what there is to know of its backup', async () => {
    const notes = ['The disk "scratch" is not backed up.'];
    const manifest = { ...manifestOf(vm, point(2), DISKS), notes, excludedDisks: ['scratch'] };
    await writeManifest(account.objectStore(address), manifest);
    const ids = await snapshotSet('run-a', 2, { tags: { role: 'pending-copy' } });
    expect(await publish('run-a', 2, ids)).toMatchObject({ ...point(2), notes });
  });

  it.each<[string, SnapshotSpec]>([
    ['size', { gib: 2 }],
    ['run', { tags: { run: 'run-b' } }],
    ['recovery point', { tags: point(2) }],
    ['exact size', { tags: { sizeBytes: 512 } }],
    ['slot', { tags: { slot: 5 } }],
    ['controller', { tags: { controller: 'pvscsi:1' } }],
  ])('refuses a set in which one snapshot has another %s, and tags nothing', async (_what, spec) => {
    const role = { role: 'pending-copy' as const };
    const ids = [
      await snapshot('run-a', 1, { tags: role }),
      await snapshot('run-a', 1, { disk: DISKS[1], ...spec, tags: { ...role, ...spec.tags } }),
    ];
    const refused = await failureOf(publish('run-a', 1, ids));
    expect(refused).toMatchObject({ type: 'DrCopyMismatch', nonRetryable: true });
    expect(refused.message).toContain(ids[1]);
    expect(Object.values(await listed(ids)).map((each) => each.role)).toEqual([
      'pending-copy',
      'pending-copy',
    ]);
  });

  it('is not made where the backup was no longer kept for the restore', async () => {
    const pending = await snapshotSet('run-a', 1, { tags: { role: 'pending-copy' } });
    await untilCompleted(pending);
    const refused = await failureOf(publishUnpinned('run-a', 1, pending));
    expect(refused).toMatchObject({ type: 'Abandoned', nonRetryable: true });
    expect(await find()).toBeUndefined();
  });

  it('refuses a set with one snapshot for two disks', async () => {
    const id = await snapshot('run-a', 1, { tags: { role: 'pending-copy' } });
    expect(await failureOf(publish('run-a', 1, [id, id]))).toMatchObject({ type: 'DrCopyMismatch' });
  });
});

describe('deleting', () => {
  const deleteReplaced = async (runId: string, n: number) =>
    runActivity(activities().deleteReplacedDrCopies, {
      run: await holding(runId),
      vm,
      keep: point(n).recoveryPoint,
    });

  it('takes older sets and half sets, and keeps the DR copy, newer ones and those of others', async () => {
    const pending = { role: 'pending-copy' as const };
    const oldest = await snapshotSet('run-a', 1);
    const halfOlder = await snapshot('run-b', 2, { tags: pending, complete: false });
    const failedAttempt = await snapshot('run-c', 3, { tags: pending, complete: false });
    const kept = await snapshotSet('run-c', 3);
    const newer = await snapshot('run-d', 4, { tags: pending, complete: false });
    const neighbour = await snapshot('run-a', 1, { tags: { vm: 'web' } });
    const home = await snapshot('run-a', 1, { tags: { role: 'failback' } });
    await untilCompleted([...oldest, ...kept, neighbour, home]);

    await pinBackups(account.objectStore(address), vm, { runId: 'run-c' }, [point(3).recoveryPoint]);
    const { deleted } = await deleteReplaced('run-c', 3);
    expect([...deleted].sort()).toEqual([...oldest, halfOlder, failedAttempt].sort());
    expect(Object.keys(await listed([...deleted, ...kept, newer, neighbour, home])).sort()).toEqual(
      [...kept, newer, neighbour, home].sort(),
    );
    expect(await deleteReplaced('run-c', 3)).toEqual({ deleted: [] });
    expect(await readPins(account.objectStore(address), vm)).toEqual([]);
  });

  it('deletes nothing while the DR copy that shall stay is not whole', async () => {
    const older = await snapshotSet('run-a', 1);
    await untilCompleted(older);
    await snapshot('run-b', 2);
    const refused = await failureOf(deleteReplaced('run-b', 2));
    expect(refused).toMatchObject({ type: 'NotYetVisible', nonRetryable: false });
    expect(Object.keys(await listed(older)).sort()).toEqual([...older].sort());
  });

  it('deletes and publishes nothing for a run that another has fenced off', async () => {
    const older = await snapshotSet('run-a', 1);
    const newer = await snapshotSet('run-b', 2);
    const pending = await snapshotSet('run-b', 3, { tags: { role: 'pending-copy' } });
    await untilCompleted([...older, ...newer, ...pending]);
    await holding('run-c');
    const fenced = { type: 'Fenced', nonRetryable: true };
    const deleting = runActivity(activities().deleteReplacedDrCopies, {
      run: run('run-b'),
      vm,
      keep: point(2).recoveryPoint,
    });
    expect(await failureOf(deleting)).toMatchObject(fenced);
    const publishing = runActivity(activities().publishDrCopy, {
      run: run('run-b'),
      vm,
      restore: restorePlan(3),
      snapshots: DISKS.map(({ key }, index) => ({ diskKey: key, snapshotId: pending[index]! })),
    });
    expect(await failureOf(publishing)).toMatchObject(fenced);
    expect(Object.keys(await listed([...older, ...newer]))).toHaveLength(4);
    expect(await find()).toMatchObject(point(2));
  });

  it('discards what one run was restoring, and nothing that was published', async () => {
    const pending = { role: 'pending-copy' as const };
    const own = await snapshotSet('run-a', 2, { tags: pending, complete: false });
    const other = await snapshot('run-b', 2, { tags: pending, complete: false });
    const published = await snapshot('run-a', 1);
    const discard = () => runActivity(activities().discardRestore, { run: run('run-a'), vm });
    expect(await discard()).toEqual({ deleted: [...own].sort() });
    expect(Object.keys(await listed([...own, other, published])).sort()).toEqual([other, published].sort());
    expect(await discard()).toEqual({ deleted: [] });
  });
});
