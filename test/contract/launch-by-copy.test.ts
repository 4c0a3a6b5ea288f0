import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { type DrCopy } from '../../activities/aws-proxy/account/contract';
import { readRecoveredVolume, tagFilters } from '../../activities/aws-proxy/account/tags';
import { publishPlan } from '../../repository/plans/plans';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  SHOP_INSTANCE_PROFILE,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from '../../sandbox/aws/fixtures';
import { FAULTS_FILE } from '../../sandbox/aws/faults/rule';
import { eventually } from '../support/eventually';
import { DB_DISKS, type FailoverSite } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { planOf } from '../unit/plan-file';

let steps: FailoverSteps;
let site: FailoverSite;
let digest: string;
/** Of a plan whose VMs form a cluster: neither is started before the other. */
let clusterDigest: string;
let drCopy: DrCopy;
/** The child of the boot disk's snapshot. */
let launchSnapshot: string;

beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
  const { plan, scripts } = await planOf();
  ({ digest } = await publishPlan(site.store, plan, scripts));
  const [db, web] = plan.vms;
  const fixed = (last: number) => ({
    dependsOn: [],
    privateAddress: `10.0.1.${last}`,
    recoverySite: { test: { privateAddress: `10.0.2.${last}` } },
  });
  const cluster = {
    ...plan,
    vms: [
      { ...db!, ...fixed(30), peers: ['web'] },
      { ...web!, ...fixed(31), peers: ['db'], hostNames: ['web.shop.example'] },
    ],
  };
  ({ digest: clusterDigest } = await publishPlan(site.store, cluster, scripts));
  const launchCopy = await steps.launchCopy();
  launchSnapshot = launchCopy.snapshots[0]!.snapshotId;
  drCopy = { ...steps.drCopy, launchCopy };
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
});

const runOf = (runId: string) => ({ ...site.run(runId), digest });
const register = (runId: string, of = drCopy) =>
  site.activity(steps.activities.registerImage, { run: runOf(runId), vm: 'db', drCopy: of });
const launchRequest = (runId: string, imageId: string) => ({
  ...steps.shellRequest(runId, imageId),
  run: runOf(runId),
  drCopy,
});
const launch = (request: Parameters<typeof steps.activities.launchInstance>[0]) =>
  site.activity(steps.activities.launchInstance, request);
const imagesOf = async (runId: string) => {
  const { Images } = await steps.ec2.send(
    new DescribeImagesCommand({ Owners: ['self'], Filters: tagFilters({ run: runId }) }),
  );
  return Images ?? [];
};
const counted = (operation: string): number =>
  site.calls.filter((call) => call.operation === operation).length;

it('launches the VM by one image and one instance, whose volumes are told apart and go with it', async () => {
  const runId = 'by-copy';
  const { imageId } = await register(runId);
  // Every step is tried again with the same effect.
  expect(await register(runId)).toEqual({ imageId });
  const [image] = await imagesOf(runId);
  expect(image).toMatchObject({ BootMode: 'legacy-bios', EnaSupport: true, RootDeviceName: '/dev/xvda' });
  const snapshots = image!.BlockDeviceMappings!.map(({ Ebs }) => Ebs?.SnapshotId);
  expect(snapshots).toEqual([
    launchSnapshot,
    ...drCopy.disks.filter(({ boot }) => !boot).map(({ snapshotId }) => snapshotId),
  ]);

  const launched = await launch(launchRequest(runId, imageId));
  expect(await launch(launchRequest(runId, imageId))).toEqual(launched);
  expect(counted('RunInstances')).toBe(2);
  expect(launched).toMatchObject({ privateAddress: expect.stringMatching(/^10\.0\.1\./) as string });
  const { Volumes = [] } = await steps.ec2.send(
    new DescribeVolumesCommand({
      Filters: [{ Name: 'attachment.instance-id', Values: [launched.instanceId] }],
    }),
  );
  const disks = Volumes.map(({ Tags }) => readRecoveredVolume(Tags)!).sort((a, b) => a.slot - b.slot);
  expect(disks).toMatchObject(
    DB_DISKS.map(({ key, boot }) => ({ disk: key, boot, vm: 'db', run: runId, role: 'recovery' })),
  );
  expect(Volumes.map(({ SnapshotId }) => SnapshotId).sort()).toEqual([...snapshots].sort());

  const { UserData } = await steps.ec2.send(
    new DescribeInstanceAttributeCommand({ InstanceId: launched.instanceId, Attribute: 'userData' }),
  );
  expect(Buffer.from(UserData?.Value ?? '', 'base64').toString()).toBe(`lifeboat-launch 1\nrun ${runId}\n`);

  await site.activity(steps.activities.deregisterImages, { run: runOf(runId), vms: ['web'] });
  expect(await imagesOf(runId)).toHaveLength(1);
  await site.activity(steps.activities.deregisterImages, { run: runOf(runId), vms: ['web', 'db'] });
  expect(await imagesOf(runId)).toEqual([]);
  const { removed } = await steps.removeRun(runId);
  // A worker that was believed dead registers nothing for a run that is over.
  await expect(register(runId)).rejects.toMatchObject({ type: 'LaunchCopyGone' });
  expect(await imagesOf(runId)).toEqual([]);
  expect(removed).toEqual(
    expect.arrayContaining([launched.instanceId, ...Volumes.map(({ VolumeId }) => VolumeId)]),
  );
  // What it was launched from stays.
  const { Snapshots } = await steps.ec2.send(
    new DescribeSnapshotsCommand({ SnapshotIds: [launchSnapshot, ...steps.drCopySnapshots] }),
  );
  expect(Snapshots).toHaveLength(1 + steps.drCopySnapshots.length);
});

it('makes instance and volumes as the plan says, and changes no tag of its own', async () => {
  const runId = 'as-the-plan-says';
  const volumes = {
    system: { throughput: 250, volumeInitializationRate: 300 },
    data: { volumeType: 'gp2' as const, volumeInitializationRate: 100 },
  };
  const { imageId } = await site.activity(steps.activities.registerImage, {
    ...{ run: runOf(runId), vm: 'db', drCopy, volumes },
  });
  const launched = await launch({
    ...launchRequest(runId, imageId),
    volumes,
    instanceProfile: SHOP_INSTANCE_PROFILE,
    privateAddress: '10.0.1.50',
    secondaryAddresses: ['10.0.1.51'],
    tags: { CostCentre: '42', Name: 'database' },
  });
  expect(launched).toMatchObject({ privateAddress: '10.0.1.50' });
  const instance = await steps.describeInstance(launched.instanceId);
  expect(instance.IamInstanceProfile?.Arn).toMatch(SHOP_INSTANCE_PROFILE);
  const addresses = instance.NetworkInterfaces?.[0]?.PrivateIpAddresses;
  expect(addresses?.map(({ PrivateIpAddress }) => PrivateIpAddress)).toEqual(['10.0.1.50', '10.0.1.51']);
  const { Volumes = [] } = await steps.ec2.send(
    new DescribeVolumesCommand({ Filters: tagFilters({ run: runId }) }),
  );
  const of = (disk: string) => Volumes.find(({ Tags }) => readRecoveredVolume(Tags)?.disk === disk);
  expect(of('system')).toMatchObject({
    ...{ VolumeType: 'gp3', Iops: 3000, Throughput: 250, VolumeInitializationRate: 300 },
  });
  expect(of('data')).toMatchObject({ VolumeType: 'gp2', VolumeInitializationRate: 100 });
  for (const { Tags } of [instance, ...Volumes])
    expect(Tags).toEqual(
      expect.arrayContaining([
        { Key: 'CostCentre', Value: '42' },
        { Key: 'Name', Value: 'database' },
        { Key: 'lifeboat:vm', Value: 'db' },
      ]),
    );
  const { removed } = await steps.removeRun(runId);
  expect(removed).toEqual(
    expect.arrayContaining([launched.instanceId, ...Volumes.map(({ VolumeId }) => VolumeId)]),
  );
});

it.each([
  [false, '10.0.1'],
  [true, '10.0.2'],
])(
  'tells members of a cluster where they and the others are before any is there (test: %s)',
  async (test, net) => {
    const runId = `cluster-${test}`;
    const { imageId } = await register(runId);
    const launchOf = async (vm: string, last: number) => {
      const { instanceId } = await launch({
        ...launchRequest(runId, imageId),
        run: { ...site.run(runId), digest: clusterDigest },
        ...{ vm, test, drCopy: { ...drCopy, vm } },
        subnet: test ? TEST_SUBNET_ID : PRODUCTION_SUBNET_ID,
        securityGroups: [test ? TEST_SECURITY_GROUP_ID : PRODUCTION_SECURITY_GROUP_ID],
        privateAddress: `${net}.${last}`,
      });
      const { UserData } = await steps.ec2.send(
        new DescribeInstanceAttributeCommand({ InstanceId: instanceId, Attribute: 'userData' }),
      );
      return Buffer.from(UserData?.Value ?? '', 'base64').toString();
    };
    const told = `lifeboat-launch 1\nrun ${runId}\naddress 198.18.0.1 ${net}.30\naddress 198.18.0.2 ${net}.31\n`;
    expect(await launchOf('web', 31)).toBe(told);
    expect(await launchOf('db', 30)).toBe(told);
    await steps.removeRun(runId);
  },
);

it('finds what was registered and launched when the answers were lost', async () => {
  const runId = 'lost';
  site.faults.push({ operation: 'RegisterImage', times: 1, code: 'InternalError', carriedOut: true });
  await expect(register(runId)).rejects.toMatchObject({ type: 'AwsTrouble' });
  const { imageId } = await register(runId);
  expect((await imagesOf(runId)).map(({ ImageId }) => ImageId)).toEqual([imageId]);
  site.faults.push({ operation: 'RunInstances', times: 1, code: 'InternalError', carriedOut: true });
  const request = launchRequest(runId, imageId);
  await expect(launch(request)).rejects.toMatchObject({ type: 'AwsTrouble' });
  const { instanceId } = await launch(request);
  const { removed } = await steps.removeRun(runId);
  expect(removed.filter((id) => id.startsWith('i-'))).toEqual([instanceId]);
  expect(removed).toContain(imageId);
  expect(await imagesOf(runId)).toEqual([]);
});

it('tells missing capacity from a launch copy that is gone', async () => {
  const runId = 'missing';
  const { imageId } = await register(runId);
  const request = launchRequest(runId, imageId);
  site.faults.push({ operation: 'RunInstances', times: 1, code: 'InsufficientInstanceCapacity' });
  await expect(launch(request)).rejects.toMatchObject({ type: 'NoCapacity', nonRetryable: true });
  site.faults.push({ operation: 'RunInstances', times: 1, code: 'InvalidSnapshot.NotFound' });
  await expect(launch(request)).rejects.toMatchObject({ type: 'LaunchCopyGone', nonRetryable: true });
  await steps.ec2.send(new DeregisterImageCommand({ ImageId: imageId }));
  site.faults.push({ operation: 'RunInstances', times: 1, code: 'InvalidAMIID.Unavailable' });
  await expect(launch({ ...request, attempt: 2 })).rejects.toMatchObject({ type: 'LaunchCopyGone' });
  const gone = [{ diskKey: DB_DISKS[0]!.key, snapshotId: 'snap-0123456789abcdef0' }];
  await expect(register('gone', { ...drCopy, launchCopy: { snapshots: gone } })).rejects.toMatchObject({
    type: 'LaunchCopyGone',
    nonRetryable: true,
  });
  await steps.removeRun(runId);
});

it('does not wait for an instance that has stopped', async () => {
  const runId = 'stopped';
  const { imageId } = await register(runId);
  site.faults.push({ operation: 'RunInstances', times: 1, code: 'InternalError', carriedOut: true });
  await expect(launch(launchRequest(runId, imageId))).rejects.toMatchObject({ type: 'AwsTrouble' });
  const [id = ''] = await eventually(30, async () => {
    const running = await steps.instancesWith({ run: runId }, 'running');
    return running.length > 0 ? running : undefined;
  });
  await steps.ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
  await eventually(30, async () => {
    const stopped = await steps.instancesWith({ run: runId }, 'stopped');
    return stopped.length > 0 ? stopped : undefined;
  });
  await expect(launch(launchRequest(runId, imageId))).rejects.toMatchObject({
    type: 'LaunchFailed',
    nonRetryable: true,
  });
  await steps.removeRun(runId);
});

it('tells an instance that EC2 took back for an error of its own, so that it is launched again', async () => {
  const runId = 'aborted';
  const { imageId } = await register(runId);
  const rule = { name: 'aborted', operations: ['RunInstances'], times: 1, fault: { kind: 'resource-error' } };
  const faults = join(dirname(site.deviceDirectory), 'aws', FAULTS_FILE);
  await writeFile(faults, JSON.stringify({ rules: [rule] }));
  const quietly = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    await expect(launch(launchRequest(runId, imageId))).rejects.toMatchObject({
      type: 'LaunchAborted',
      nonRetryable: true,
      message: expect.stringMatching(/EC2 terminated i-.*Internal error on launch/) as string,
    });
  } finally {
    quietly.mockRestore();
    await rm(faults);
  }
  const { instanceId } = await launch({ ...launchRequest(runId, imageId), attempt: 2 });
  expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'running' } });
  await steps.removeRun(runId);
});

it('discards an attempt with the volumes that it was launched with', async () => {
  const runId = 'doubtful';
  const { imageId } = await register(runId);
  const { instanceId } = await launch(launchRequest(runId, imageId));
  const attempt = { run: runOf(runId), vm: 'db', attempt: 1, launchedByCopy: true };
  await site.activity(steps.activities.discardShell, attempt);
  expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'terminated' } });
  expect(await steps.volumesWith({ run: runId })).toEqual([]);
  await steps.removeRun(runId);
});
