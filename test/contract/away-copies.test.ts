import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  ModifyInstanceAttributeCommand,
  RegisterImageCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  waitUntilInstanceRunning,
  waitUntilInstanceStopped,
} from '@aws-sdk/client-ec2';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAwayActivities } from '../../activities/aws-proxy/away/activities';
import { createFailbackActivities } from '../../activities/aws-proxy/failback/activities';
import { findAwayCopies } from '../../activities/aws-proxy/account/away-copy';
import { findLeftovers, removeLeftovers } from '../../activities/aws-proxy/account/leftovers';
import { deleteSnapshots, findSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { siteStatus } from '../../client/site-status';
import { movePlanState, takePlanState } from '../../repository/plans/plan-state';
import { FAULTS_FILE, type FaultRule } from '../../sandbox/aws/faults/rule';
import { PROXY_AVAILABILITY_ZONE } from '../../sandbox/aws/fixtures';
import { shopPlan } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { failureOf, runActivity } from './run-activity';

jest.setTimeout(60_000);

let steps: FailoverSteps;
let away: ReturnType<typeof createAwayActivities>;
let instanceId: string;
let volumeIds: string[];

beforeAll(async () => {
  steps = await openFailoverSteps();
  const { site, activities } = steps;
  away = createAwayActivities({ ec2: steps.ec2, objectStore: () => site.store, pollSeconds: 0.05 });
  const run = site.run('failover-run');
  await takePlanState(site.store, run, ['none'], 'failing-over');
  await movePlanState(site.store, run, 'failed-over');
  const volumes = await steps.createVolumes('failover-run');
  const { imageId } = await steps.shellImage('failover-run');
  ({ instanceId } = await site.activity(activities.launchShell, steps.shellRequest('failover-run', imageId)));
  const instance = { run, vm: 'db', instanceId, volumes };
  await site.activity(activities.attachVolumes, instance);
  await site.activity(activities.startInstance, { ...instance, instanceType: 'm6i.large' });
  volumeIds = volumes.map(({ volumeId }) => volumeId);
}, 60_000);
afterAll(() => steps.site.stop());
afterEach(async () => {
  steps.site.faults.length = 0;
  await deleteSnapshots(steps.ec2, await present());
});

const failback = () =>
  createFailbackActivities({
    ...steps.site.clients,
    objectStore: () => steps.site.store,
    pollSeconds: 0.05,
  });

/** A round's copy of `db`. */
const copy = (runId: string, { since = new Date().toISOString(), attempt = 1, generation = 1 } = {}) =>
  runActivity(
    away.makeAwayCopy,
    { run: { ...steps.site.run(runId), generation }, vm: 'db', instanceId, since },
    attempt,
  );
const present = async (): Promise<string[]> =>
  (await findSnapshots(steps.ec2, { plan: 'shop', role: 'away-copy' }))
    .map(({ SnapshotId }) => SnapshotId)
    .sort();
/** How often CreateSnapshots was called since the test began. */
let calledBefore = 0;
const allCalls = (): number =>
  steps.site.calls.filter(({ operation }) => operation === 'CreateSnapshots').length;
beforeEach(() => void (calledBefore = allCalls()));
const calls = (): number => allCalls() - calledBefore;
const status = async () =>
  (await siteStatus(shopPlan(), { ec2: steps.ec2, store: steps.site.store })).vms[0]?.awayCopy;
const needs = (phase: 'failed-over' | 'protected') => ({
  plan: 'shop',
  phase,
  holder: 'failover-run',
  liveRuns: new Set<string>(),
  madeBefore: new Date(Date.now() + 60_000),
});
const leftSnapshots = async (phase: 'failed-over' | 'protected') =>
  (await findLeftovers(steps.ec2, needs(phase))).filter(({ role }) => role === 'away-copy');

it('is made of all volumes once, told by status, and replaced by the next', async () => {
  expect(
    await runActivity(away.readAwayInstances, { run: steps.site.run('round-1'), plan: shopPlan() }),
  ).toEqual({
    instances: [{ vm: 'db', instanceId }],
    problems: [],
  });
  expect(await status()).toBeUndefined();
  const before = Date.now();
  const first = await copy('round-1');
  expect(await copy('round-1')).toEqual(first);
  expect(calls()).toBe(1);
  expect(await present()).toEqual([...first.snapshotIds].sort());
  const takenAt = Date.parse(first.takenAt);
  expect(takenAt).toBeGreaterThanOrEqual(before);
  expect(await status()).toMatchObject({ instanceId, takenAt: first.takenAt });
  expect((await status())?.snapshots.map(({ disk, volumeId }) => [disk, volumeId]).sort()).toEqual(
    [
      ['data', volumeIds[1]],
      ['system', volumeIds[0]],
    ].sort(),
  );

  const second = await copy('round-2');
  expect(await present()).toEqual([...second.snapshotIds].sort());
  // A try of the first round that comes late finds what is newer, and makes nothing.
  expect(await copy('round-1', { since: first.takenAt, attempt: 2 })).toEqual(second);
  expect(calls()).toBe(2);
  expect(await present()).toEqual([...second.snapshotIds].sort());
});

it('stays where somebody has made an image of it, and hinders neither the next nor the end', async () => {
  const first = await copy('round-1');
  const { ImageId = '' } = await steps.ec2.send(
    new RegisterImageCommand({
      Name: 'by hand',
      Architecture: 'x86_64',
      VirtualizationType: 'hvm',
      RootDeviceName: '/dev/xvda',
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: first.snapshotIds[0] } }],
    }),
  );
  const second = await copy('round-2');
  expect(await present()).toEqual([first.snapshotIds[0], ...second.snapshotIds].sort());
  const ids = new Set([...first.snapshotIds, ...second.snapshotIds]);
  const swept = await removeLeftovers(steps.ec2, needs('protected'), ids, { pollSeconds: 0.05 });
  expect(swept).toEqual([...second.snapshotIds].sort());
  expect(await present()).toEqual([first.snapshotIds[0]]);
  await steps.ec2.send(new DeregisterImageCommand({ ImageId }));
  const rest = await removeLeftovers(steps.ec2, needs('protected'), ids, { pollSeconds: 0.05 });
  expect(rest).toEqual([first.snapshotIds[0]]);
});

it('is found again by a try whose forerunner never heard of it', async () => {
  steps.site.faults.push({ operation: 'CreateSnapshots', times: 1, code: 'InternalError', carriedOut: true });
  expect(await failureOf(copy('round-1'))).toMatchObject({ nonRetryable: false });
  const made = await copy('round-1', { attempt: 2 });
  expect(calls()).toBe(1);
  expect(await present()).toEqual([...made.snapshotIds].sort());
});

it('says which disk it is of although the try before died in between', async () => {
  steps.site.faults.push({ operation: 'CreateTags', times: 1, code: 'InternalError' });
  await failureOf(copy('round-1'));
  await copy('round-1', { attempt: 2 });
  expect((await status())?.snapshots.map(({ disk }) => disk).sort()).toEqual(['data', 'system']);
});

async function volumeIs(state: 'available' | 'attached', VolumeId = ''): Promise<void> {
  for (;;) {
    const { Volumes } = await steps.ec2.send(new DescribeVolumesCommand({ VolumeIds: [VolumeId] }));
    if ((Volumes?.[0]?.Attachments?.[0]?.State ?? Volumes?.[0]?.State) === state) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it('has the volume that somebody attached meanwhile, which is no disk of the VM', async () => {
  const { VolumeId } = await steps.ec2.send(
    new CreateVolumeCommand({ AvailabilityZone: PROXY_AVAILABILITY_ZONE, Size: 1 }),
  );
  await volumeIs('available', VolumeId);
  await steps.ec2.send(new AttachVolumeCommand({ InstanceId: instanceId, VolumeId, Device: '/dev/sdp' }));
  await volumeIs('attached', VolumeId);
  await copy('round-1');
  const extra = (await status())?.snapshots.find(({ volumeId }) => volumeId === VolumeId);
  expect((await status())?.snapshots).toHaveLength(3);
  expect(extra).not.toHaveProperty('disk');
  await steps.ec2.send(new DetachVolumeCommand({ VolumeId, Force: true }));
  await volumeIs('available', VolumeId);
});

it('stays where AWS gives the next one up, and half of one is none', async () => {
  const good = await copy('round-1');
  const rule: FaultRule = {
    name: 'a snapshot fails',
    operations: ['CreateSnapshots'],
    times: 1,
    fault: { kind: 'resource-error' },
  };
  writeFileSync(join(steps.site.endpointDirectory, FAULTS_FILE), JSON.stringify({ rules: [rule] }));
  const failure = await failureOf(copy('round-2'));
  expect(failure).toMatchObject({ type: 'SnapshotFailed', nonRetryable: false });
  expect((await status())?.takenAt).toBe(good.takenAt);
  expect(await present()).toEqual([...good.snapshotIds].sort());

  const newer = await copy('round-3');
  await steps.ec2.send(new DeleteSnapshotCommand({ SnapshotId: newer.snapshotIds[0] }));
  expect(await status()).toBeUndefined();
  const whole = await copy('round-4');
  expect(await present()).toEqual([...whole.snapshotIds].sort());
});

it('is a leftover where a newer one has replaced it, or the application is at home', async () => {
  steps.site.faults.push({ operation: 'DeleteSnapshot', times: 1, code: 'InternalError' });
  const first = await copy('round-1');
  await failureOf(copy('round-2'));
  const [newest] = [...(await findAwayCopies(steps.ec2, 'shop')).values()];
  expect(newest?.takenAt).not.toBe(first.takenAt);
  const replaced = await leftSnapshots('failed-over');
  expect(replaced.map(({ id }) => id).sort()).toEqual([...first.snapshotIds].sort());
  expect(replaced[0]?.reason).toBe(`the copy of ${newest?.takenAt} has replaced it`);
  expect(await leftSnapshots('protected')).toHaveLength(4);
});

it('can be put in the place of a volume by hand, as docs/aws.md says, and goes home then', async () => {
  await copy('round-1');
  const { ec2 } = steps;
  const restored = (await status())!.snapshots.find(({ disk }) => disk === 'data')!;
  const InstanceIds = [instanceId];
  await ec2.send(new StopInstancesCommand({ InstanceIds }));
  await waitUntilInstanceStopped({ client: ec2, minDelay: 1, maxDelay: 1, maxWaitTime: 30 }, { InstanceIds });
  const { Volumes } = await ec2.send(new DescribeVolumesCommand({ VolumeIds: [restored.volumeId] }));
  const old = Volumes![0]!;
  const { VolumeId = '' } = await ec2.send(
    new CreateVolumeCommand({
      SnapshotId: restored.snapshotId,
      AvailabilityZone: old.AvailabilityZone,
      VolumeType: old.VolumeType,
      TagSpecifications: [{ ResourceType: 'volume', Tags: old.Tags }],
    }),
  );
  await volumeIs('available', VolumeId);
  await ec2.send(new DetachVolumeCommand({ VolumeId: old.VolumeId }));
  await volumeIs('available', old.VolumeId);
  const DeviceName = old.Attachments![0]!.Device!;
  await ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId: instanceId, Device: DeviceName }));
  await volumeIs('attached', VolumeId);
  await ec2.send(
    new ModifyInstanceAttributeCommand({
      InstanceId: instanceId,
      BlockDeviceMappings: [{ DeviceName, Ebs: { DeleteOnTermination: true } }],
    }),
  );
  await ec2.send(new StartInstancesCommand({ InstanceIds }));
  await waitUntilInstanceRunning({ client: ec2, minDelay: 1, maxDelay: 1, maxWaitTime: 30 }, { InstanceIds });
  const [read] = await runActivity(failback().readInstances, {
    run: steps.site.run('failback-run'),
    plan: shopPlan(),
  });
  expect(read?.disks.map((disk) => [disk.key, disk.volumeId])).toEqual([
    ['system', volumeIds[0]],
    ['data', VolumeId],
  ]);
});

// From here on the application is on its way home.

it('is made for a run that nobody has fenced off only', async () => {
  await takePlanState(steps.site.store, steps.site.run('failback-run'), ['failed-over'], 'failing-back');
  expect(await failureOf(copy('round-1'))).toMatchObject({ type: 'Fenced', nonRetryable: true });
  expect(calls()).toBe(0);
});

it('hinders no failback, and goes with the recovery site', async () => {
  const run = { ...steps.site.run('failback-run'), generation: 2 };
  await movePlanState(steps.site.store, run, 'failed-over');
  const made = await copy('round-1', { generation: 2 });
  await movePlanState(steps.site.store, run, 'failing-back');
  const taken = await runActivity(failback().snapshotInstance, { run, vm: 'db', instanceId, pass: 1 });
  expect(taken.map(({ snapshotId }) => snapshotId)).not.toEqual(expect.arrayContaining(made.snapshotIds));
  await runActivity(failback().deleteFailbackSnapshots, { run });
  expect(await present()).toEqual([...made.snapshotIds].sort());
  const { removed } = await steps.site.activity(steps.activities.removeRecoverySite, { run });
  expect(removed).toEqual(expect.arrayContaining(made.snapshotIds));
  expect(await present()).toEqual([]);
});
