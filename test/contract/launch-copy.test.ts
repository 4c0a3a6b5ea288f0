import { open } from 'node:fs/promises';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { findDrCopy } from '../../activities/aws-proxy/account/dr-copy';
import { findLaunchSnapshots, launchCopyOf } from '../../activities/aws-proxy/account/launch-copy';
import { createLaunchCopyActivities } from '../../activities/aws-proxy/restore/launch-copy';
import { BLOCK_SIZE } from '../../blocks/port';
import { GuestNotAdaptableError, type GuestAdapter, type RecoverySiteAdaptation } from '../../guest/port';
import { type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { publishPlan } from '../../repository/plans/plans';
import { takePlanState } from '../../repository/plans/plan-state';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { listIfExists } from '../../host/if-exists';
import { patternDisk } from '../support/synthetic-disk';
import { GOOD_PLAN, planOf } from '../unit/plan-file';
import { backUp } from './copy-backup';
import { restore, runNumber, snapshotBytes } from './copy-restore';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';

/** 21 blocks, the last one of 3 sectors. */
const SIZE = 20 * BLOCK_SIZE + 3 * 512;

let site: CopySite;
let fault: (operation: string) => void;
let plan: DrPlan;
let run: RunContext;
let adaptations: RecoverySiteAdaptation[];
/** What the adaptation writes to the boot disk: bytes by their offset. */
let writes: [offset: number, bytes: Buffer][];
let refusal: Error | undefined;

/** Guests are adapted by other tests; here it only counts what is written where. */
const adapter: GuestAdapter = {
  async adaptForRecoverySite(adaptation) {
    adaptations.push(adaptation);
    if (refusal !== undefined) throw refusal;
    const disk = await open(adaptation.diskPath, 'r+');
    for (const [offset, bytes] of writes) await disk.write(bytes, 0, bytes.length, offset);
    await disk.close();
    return { family: 'test', kernels: [], modules: [], changed: [], warnings: ['it is a test'] };
  },
  revertForPrimarySite: () => Promise.reject(new Error('Nothing comes home here.')),
};

async function publish(text: string): Promise<void> {
  const loaded = await planOf(text);
  ({ plan } = loaded);
  run = { ...run, digest: (await publishPlan(site.store, plan, loaded.scripts)).digest };
}

const directory = (): string => `${site.directory}/launch-copies`;
const makeLaunchCopy = async (attempt = 1, recoveryPoint?: string) => {
  const { makeLaunchCopy: activity } = createLaunchCopyActivities({
    ec2: site.ec2,
    ebs: site.ebs,
    guestAdapter: adapter,
    objectStore: () => site.store,
    directory: directory(),
    pollSeconds: 0.05,
  });
  const present = (await findDrCopy(site.ec2, 'shop', VM))!.recoveryPoint;
  const input = { run, vm: VM, recoveryPoint: recoveryPoint ?? present };
  return inActivity(activity, input, newEnvironment({ attempt }));
};

const snapshots = async (role: 'launch-copy' | 'pending-launch-copy') =>
  (await findLaunchSnapshots(site.ec2, { plan: 'shop', role })).map(({ snapshot }) => snapshot.SnapshotId);

async function present() {
  const drCopy = await findDrCopy(site.ec2, 'shop', VM);
  return launchCopyOf(
    plan,
    drCopy!,
    await findLaunchSnapshots(site.ec2, { plan: 'shop', role: 'launch-copy' }),
  );
}

beforeEach(async () => {
  fault = () => undefined;
  site = await startCopySite((call, handle) => {
    fault(call.operation);
    return handle();
  });
  [adaptations, refusal] = [[], undefined];
  writes = [
    [3 * BLOCK_SIZE - 5, Buffer.from('across two blocks')],
    [7 * BLOCK_SIZE, Buffer.alloc(BLOCK_SIZE)],
    [SIZE - 512, Buffer.alloc(512, 0xa5)],
  ];
  run = runNumber(site, 1);
  await publish(`${GOOD_PLAN}`.replace('frequency: 15m', 'frequency: 15m\n  launchCopy: true'));
  site.hypervisor.setDisk(
    'system',
    patternDisk(
      Array.from({ length: 21 }, (_, n) => ({ random: `s${n}` })),
      SIZE,
    ),
  );
  site.hypervisor.setDisk('data', patternDisk([{ random: 'd' }, 'zero'], 2 * BLOCK_SIZE));
  await backUp(site, 1);
  await restore(site, 'direct', run);
  const { generation } = await takePlanState(site.store, run, ['protected'], 'protected');
  run = { ...run, generation };
});
afterEach(async () => {
  expect(await listIfExists(directory())).toEqual([]);
  await site.close();
});

it('holds what the DR copy has, and what the adaptation wrote; once for all times that it is asked for', async () => {
  const drCopy = (await findDrCopy(site.ec2, 'shop', VM))!;
  const before = await snapshotBytes(site, drCopy.disks[0]!.snapshotId, SIZE);
  expect(await makeLaunchCopy()).toMatchObject({ outcome: 'made', blocks: 4, warnings: ['it is a test'] });
  expect(adaptations[0]).toMatchObject({ launchCopy: true, hosts: [], bootScripts: [], slot: 0 });

  const launchCopy = await present();
  expect(launchCopy?.snapshots).toMatchObject([{ diskKey: 'system' }]);
  const expected = Buffer.from(before);
  for (const [offset, bytes] of writes) bytes.copy(expected, offset);
  const snapshotId = launchCopy!.snapshots[0]!.snapshotId;
  expect((await snapshotBytes(site, snapshotId, SIZE)).equals(expected)).toBe(true);
  // The DR copy is as it was.
  expect((await snapshotBytes(site, drCopy.disks[0]!.snapshotId, SIZE)).equals(before)).toBe(true);

  expect(await makeLaunchCopy(2)).toMatchObject({ outcome: 'kept' });
  expect(adaptations).toHaveLength(1);
  expect(await snapshots('launch-copy')).toEqual([snapshotId]);
});

it('is made anew for another boot script, and the old one goes', async () => {
  await makeLaunchCopy();
  const [old] = await snapshots('launch-copy');
  await publish(
    GOOD_PLAN.replace('frequency: 15m', 'frequency: 15m\n  launchCopy: true').replace(
      '    hostNames: [db.shop.example]',
      '    hostNames: [db.shop.example]\n    bootScript: hello.sh',
    ),
  );
  expect(await present()).toBeUndefined();
  expect(await makeLaunchCopy()).toMatchObject({ outcome: 'made' });
  expect(adaptations[1]?.bootScripts).toMatchObject([{ name: 'hello.sh' }]);
  const now = await snapshots('launch-copy');
  expect(now).toHaveLength(1);
  expect(now).not.toContain(old);
});

it('has a place for the addresses of peers and of itself, and is made anew for another peer', async () => {
  const cluster = (peers: string) =>
    GOOD_PLAN.replace('frequency: 15m', 'frequency: 15m\n  launchCopy: true')
      .replace(
        '    hostNames: [db.shop.example]',
        `    hostNames: [db.shop.example]\n    peers: [${peers}]\n    recoverySite: { test: { privateAddress: 10.0.2.30 } }`,
      )
      .replace(
        '    dependsOn: [db]',
        '    hostNames: [web]\n    privateAddress: 10.0.1.31\n    recoverySite: { test: { privateAddress: 10.0.2.31 } }',
      );
  const itself = { address: '198.18.0.1', names: ['db.shop.example'], self: true };
  await publish(cluster(''));
  expect(await makeLaunchCopy()).toMatchObject({ outcome: 'made' });
  expect(adaptations[0]?.hosts).toEqual([itself]);
  await publish(cluster('web'));
  expect(await present()).toBeUndefined();
  expect(await makeLaunchCopy()).toMatchObject({ outcome: 'made' });
  expect(adaptations[1]?.hosts).toEqual([itself, { address: '198.18.0.2', names: ['web'] }]);
});

it('goes with the DR copy that it is of', async () => {
  await makeLaunchCopy();
  await backUp(site, 2);
  const next = { ...run, runId: runNumber(site, 2).runId };
  const { plan: restored } = await restore(site, 'direct', next);
  const { generation } = await takePlanState(site.store, next, ['protected'], 'protected');
  expect(await present()).toBeUndefined();
  await inActivity(site.activities().deleteReplacedDrCopies, {
    run: { ...next, generation },
    vm: VM,
    keep: restored.recoveryPoint,
  });
  expect(await snapshots('launch-copy')).toEqual([]);
});

it('is made of no other DR copy than the one that it is to be of', async () => {
  await expect(makeLaunchCopy(1, '20261123T181509Z-00000009')).rejects.toMatchObject({
    type: 'NotYetVisible',
  });
  expect(adaptations).toEqual([]);
});

it('is not made of a guest that cannot be adapted, which is told', async () => {
  refusal = new GuestNotAdaptableError('It runs OS/2.');
  expect(await makeLaunchCopy()).toMatchObject({ outcome: 'not made', reason: 'It runs OS/2.' });
  const { Snapshots } = await site.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  expect(Snapshots).toHaveLength(2);
});

it.each(['PutSnapshotBlock', 'CompleteSnapshot', 'CreateTags'])(
  'is made from the beginning after a try that ended at %s, of which nothing is left',
  async (operation) => {
    let refuse = true;
    fault = (called) => {
      if (refuse && called === operation) throw new AwsError('UnauthorizedOperation', 'Not now.', 403);
    };
    await expect(makeLaunchCopy()).rejects.toThrow();
    refuse = false;
    expect(await present()).toBeUndefined();
    // Other bytes than the first time: of those nothing may be in it.
    const drCopy = (await findDrCopy(site.ec2, 'shop', VM))!;
    const expected = await snapshotBytes(site, drCopy.disks[0]!.snapshotId, SIZE);
    writes = [[9 * BLOCK_SIZE + 1, Buffer.from('the second time')]];
    for (const [offset, bytes] of writes) bytes.copy(expected, offset);
    expect(await makeLaunchCopy(2)).toMatchObject({ outcome: 'made', blocks: 1 });
    const launchCopy = await present();
    const bytes = await snapshotBytes(site, launchCopy!.snapshots[0]!.snapshotId, SIZE);
    expect(bytes.equals(expected)).toBe(true);
    expect(await snapshots('pending-launch-copy')).toEqual([]);
    expect(await snapshots('launch-copy')).toHaveLength(1);
  },
);

it('does not count where one of its snapshots is gone, or its tags name another disk', async () => {
  await makeLaunchCopy();
  const [found] = await findLaunchSnapshots(site.ec2, { plan: 'shop', role: 'launch-copy' });
  const drCopy = (await findDrCopy(site.ec2, 'shop', VM))!;
  const { snapshot, tags } = found!;
  expect(launchCopyOf(plan, drCopy, [found!])).toBeDefined();
  for (const wrong of [
    { snapshot, tags: { ...tags, diskCount: 2 } },
    { snapshot, tags: { ...tags, boot: false } },
    { snapshot, tags: { ...tags, disk: 'data' } },
    { snapshot: { ...snapshot, State: 'error' as const }, tags },
    { snapshot: { ...snapshot, VolumeSize: 2 }, tags },
    { snapshot, tags: { ...tags, madeOf: '0'.repeat(64) } },
  ])
    expect(launchCopyOf(plan, drCopy, [wrong])).toBeUndefined();
});
