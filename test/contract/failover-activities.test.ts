import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  AttachVolumeCommand,
  DeleteVolumeCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
} from '@aws-sdk/client-ec2';
import { readInstance, readRecoveredVolume } from '../../activities/aws-proxy/account/tags';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_AVAILABILITY_ZONE,
  PROXY_INSTANCE_ID,
  SHOP_INSTANCE_PROFILE,
  shopFixtures,
} from '../../sandbox/aws/fixtures';
import { listSnapshotIds } from '../support/failover-listing';
import { DB_DISKS, type FailoverSite, quietEnvironment } from '../support/failover-site';
import { type FailoverSteps, idsOf, openFailoverSteps } from '../support/failover-steps';

let steps: FailoverSteps;
let site: FailoverSite;
beforeAll(async () => {
  const fixtures = shopFixtures();
  for (const subnet of fixtures.subnets)
    if (subnet.id === PRODUCTION_SUBNET_ID) subnet.ipv6Cidr = '2001:db8:1::/64';
  steps = await openFailoverSteps(fixtures);
  ({ site } = steps);
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
});

describe('ensureShellImage', () => {
  it('registers one image a firmware, whoever asks, and leaves no snapshot behind', async () => {
    const images = await Promise.all(['a', 'b', 'a'].map((runId) => steps.shellImage(`image-${runId}`)));
    expect(new Set(images.map(({ imageId }) => imageId)).size).toBe(1);
    expect(await steps.shellImage('image-c')).toEqual(images[0]);
    const { Images } = await steps.ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
    expect(Images).toHaveLength(1);
    expect(Images?.[0]).toMatchObject({
      BootMode: 'legacy-bios',
      EnaSupport: true,
      RootDeviceName: '/dev/xvda',
    });
    const used = Images?.[0]?.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId;
    expect(await listSnapshotIds(steps.ec2, undefined, 'shell')).toEqual([used]);
  });

  it('finds the image that was registered when the answer was lost', async () => {
    const request = { run: site.run('image-lost'), firmware: 'uefi' as const };
    site.faults.push({ operation: 'RegisterImage', times: 1, code: 'InternalError', carriedOut: true });
    await expect(site.activity(steps.activities.ensureShellImage, request)).rejects.toMatchObject({
      type: 'AwsTrouble',
    });
    const { imageId } = await site.activity(steps.activities.ensureShellImage, request);
    const { Images } = await steps.ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
    expect(Images?.filter(({ BootMode }) => BootMode === 'uefi').map(({ ImageId }) => ImageId)).toEqual([
      imageId,
    ]);
  });
});

describe("what a plan says of a VM's instance and volumes", () => {
  const tags = { CostCentre: '42', Name: 'database' };

  it('is in the calls that make them, and leaves Lifeboat its own tags', async () => {
    const runId = 'by-plan';
    const volumes = await site.activity(steps.activities.createVolumes, {
      run: site.run(runId),
      ...{
        vm: 'db',
        attempt: 1,
        drCopy: steps.drCopy,
        availabilityZone: PROXY_AVAILABILITY_ZONE,
        test: false,
      },
      volumes: {
        system: { iops: 3000, throughput: 250, volumeInitializationRate: 200 },
        data: { volumeType: 'gp2' },
      },
      // Whoever wrote past the plan's check.
      tags: { ...tags, 'Lifeboat:role': 'dr-copy', 'lifeboat:vm': 'web' },
    });
    const { Volumes = [] } = await steps.ec2.send(
      new DescribeVolumesCommand({ VolumeIds: volumes.map(({ volumeId }) => volumeId) }),
    );
    const [system, data] = volumes.map(({ volumeId }) =>
      Volumes.find((volume) => volume.VolumeId === volumeId),
    );
    expect(system).toMatchObject({
      ...{ VolumeType: 'gp3', Iops: 3000, Throughput: 250, VolumeInitializationRate: 200 },
    });
    expect(data).toMatchObject({ VolumeType: 'gp2', Iops: 100 });
    expect(data?.Throughput).toBeUndefined();
    expect(data?.VolumeInitializationRate).toBeUndefined();
    const tagged = Object.fromEntries(system!.Tags!.map(({ Key, Value }) => [Key, Value]));
    expect(tagged).toMatchObject({ ...tags, 'lifeboat:vm': 'db', 'lifeboat:role': 'recovery' });
    expect(tagged).not.toHaveProperty('Lifeboat:role');

    const { imageId } = await steps.shellImage(runId);
    const request = {
      ...steps.shellRequest(runId, imageId),
      instanceProfile: SHOP_INSTANCE_PROFILE,
      privateAddress: '10.0.1.40',
      secondaryAddresses: ['10.0.1.41', '10.0.1.42'],
      tags,
    };
    const { instanceId } = await site.activity(steps.activities.launchShell, request);
    const shell = await steps.describeInstance(instanceId);
    expect(shell).toMatchObject({
      PrivateIpAddress: '10.0.1.40',
      IamInstanceProfile: { Arn: `arn:aws:iam::000000000000:instance-profile/${SHOP_INSTANCE_PROFILE}` },
    });
    const addresses = shell.NetworkInterfaces?.[0]?.PrivateIpAddresses;
    expect(addresses?.map(({ Primary, PrivateIpAddress }) => [Primary, PrivateIpAddress])).toEqual([
      [true, '10.0.1.40'],
      [false, '10.0.1.41'],
      [false, '10.0.1.42'],
    ]);
    expect(readInstance(shell.Tags)).toMatchObject({ vm: 'db', run: runId });
    expect(shell.Tags).toEqual(expect.arrayContaining([{ Key: 'Name', Value: 'database' }]));
    // By its ARN it is the same, and another is refused.
    const again = { ...request, attempt: 2, instanceProfile: shell.IamInstanceProfile?.Arn };
    Object.assign(again, { privateAddress: undefined, secondaryAddresses: undefined });
    const { instanceId: other } = await site.activity(steps.activities.launchShell, again);
    expect((await steps.describeInstance(other)).IamInstanceProfile).toEqual(shell.IamInstanceProfile);
    const unknown = { ...again, attempt: 3, instanceProfile: 'nobody' };
    await expect(site.activity(steps.activities.launchShell, unknown)).rejects.toMatchObject({
      message: expect.stringContaining('Invalid IAM Instance Profile name') as string,
      nonRetryable: true,
    });
    await steps.removeRun(runId);
  });
});

describe('failover of a VM', () => {
  it('makes volumes, boots from them, stops, and leaves nothing behind when it is removed', async () => {
    const runId = 'whole-run';
    const { imageId } = await steps.shellImage(runId);
    const volumes = await steps.createVolumes(runId);
    expect(volumes).toMatchObject(DB_DISKS);
    // Every step is tried again with the same effect.
    expect(await steps.createVolumes(runId)).toEqual(volumes);
    const { Volumes } = await steps.ec2.send(new DescribeVolumesCommand({ VolumeIds: idsOf(volumes) }));
    for (const volume of Volumes ?? [])
      expect(readRecoveredVolume(volume.Tags)).toMatchObject({ vm: 'db', run: runId, role: 'recovery' });

    const request = { ...steps.shellRequest(runId, imageId), privateAddress: '10.0.1.30' };
    const { instanceId } = await site.activity(steps.activities.launchShell, request);
    expect(await site.activity(steps.activities.launchShell, request)).toEqual({ instanceId });
    const shell = await steps.describeInstance(instanceId);
    expect(shell).toMatchObject({
      State: { Name: 'stopped' },
      PrivateIpAddress: '10.0.1.30',
    });
    const launch = site.calls.find(({ operation }) => operation === 'RunInstances');
    expect(launch?.input).toMatchObject({
      InstanceInitiatedShutdownBehavior: 'stop',
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
      NetworkInterfaces: [{ AssociatePublicIpAddress: true, Groups: [PRODUCTION_SECURITY_GROUP_ID] }],
    });
    expect(site.calls.find(({ operation }) => operation === 'StopInstances')?.input).toMatchObject({
      Force: true,
      SkipOsShutdown: true,
    });
    expect(readInstance(shell.Tags)).toMatchObject({ recoveryPoint: steps.drCopy.recoveryPoint, attempt: 1 });
    const shellRoot = shell.BlockDeviceMappings?.[0]?.Ebs?.VolumeId;

    const attach = { run: site.run(runId), vm: 'db', instanceId, volumes };
    await site.activity(steps.activities.attachVolumes, attach);
    await site.activity(steps.activities.attachVolumes, attach);
    const attached = await steps.describeInstance(instanceId);
    const mappings = attached.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [DeviceName, Ebs?.VolumeId]);
    expect(mappings?.sort()).toEqual([
      ['/dev/sdf', volumes[1]?.volumeId],
      ['/dev/xvda', volumes[0]?.volumeId],
    ]);
    expect(attached.BlockDeviceMappings?.every(({ Ebs }) => Ebs?.DeleteOnTermination)).toBe(true);
    expect(await steps.volumesWith({ vm: 'db', run: runId })).toEqual(idsOf(volumes));
    expect(await steps.volumesWith({ vm: 'db', run: runId })).not.toContain(shellRoot);

    const start = { run: site.run(runId), vm: 'db', instanceId, instanceType: 'm5.large' };
    const addresses = await site.activity(steps.activities.startInstance, start);
    expect(addresses).toEqual({
      privateAddress: '10.0.1.30',
      publicAddress: expect.stringMatching(/^127\.77\./) as string,
      ipv6Addresses: ['2001:db8:1::a00:11e'],
    });
    expect(await site.activity(steps.activities.startInstance, start)).toEqual(addresses);
    expect(await steps.describeInstance(instanceId)).toMatchObject({
      InstanceType: 'm5.large',
      State: { Name: 'running' },
    });

    await site.activity(steps.activities.stopInstance, start);
    await site.activity(steps.activities.stopInstance, start);
    expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'stopped' } });

    const { removed } = await steps.removeRun(runId);
    expect(removed).toEqual(expect.arrayContaining([instanceId, ...idsOf(volumes)]));
    expect(await steps.volumesWith({ vm: 'db' })).toEqual([]);
    expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'terminated' } });
    const { Snapshots } = await steps.ec2.send(
      new DescribeSnapshotsCommand({ SnapshotIds: [...steps.drCopySnapshots] }),
    );
    expect(Snapshots?.map(({ State }) => State)).toEqual(steps.drCopySnapshots.map(() => 'completed'));
    expect((await steps.removeRun(runId)).removed).toEqual([]);
  });

  it('says that there is no capacity, at launch and at start', async () => {
    const runId = 'capacity-run';
    const { imageId } = await steps.shellImage(runId);
    site.faults.push({ operation: 'RunInstances', times: 1, code: 'InsufficientInstanceCapacity' });
    const request = steps.shellRequest(runId, imageId);
    await expect(site.activity(steps.activities.launchShell, request)).rejects.toMatchObject({
      type: 'NoCapacity',
      nonRetryable: true,
    });
    const { instanceId } = await site.activity(steps.activities.launchShell, { ...request, attempt: 2 });
    site.faults.push({ operation: 'StartInstances', times: 1, code: 'InsufficientInstanceCapacity' });
    const start = { run: site.run(runId), vm: 'db', instanceId, instanceType: 'm6i.large' };
    await expect(site.activity(steps.activities.startInstance, start)).rejects.toMatchObject({
      type: 'NoCapacity',
    });
    await site.activity(steps.activities.startInstance, { ...start, instanceType: 'm5.large' });
    expect(await steps.describeInstance(instanceId)).toMatchObject({ InstanceType: 'm5.large' });
    await steps.removeRun(runId);
  });

  it('launches one instance when the answer to the launch is lost', async () => {
    const runId = 'lost-run';
    const { imageId } = await steps.shellImage(runId);
    site.faults.push({ operation: 'RunInstances', times: 1, code: 'InternalError', carriedOut: true });
    const request = steps.shellRequest(runId, imageId);
    await expect(site.activity(steps.activities.launchShell, request)).rejects.toMatchObject({
      nonRetryable: false,
    });
    const { instanceId } = await site.activity(steps.activities.launchShell, request);
    const { removed } = await steps.removeRun(runId);
    expect(removed.filter((id) => id.startsWith('i-'))).toEqual([instanceId]);
  });

  it('gives a shell up and keeps the volumes that hung on it', async () => {
    const runId = 'discard-run';
    const { imageId } = await steps.shellImage(runId);
    const volumes = await steps.createVolumes(runId);
    const request = steps.shellRequest(runId, imageId);
    const { instanceId } = await site.activity(steps.activities.launchShell, request);
    await site.activity(steps.activities.attachVolumes, {
      run: site.run(runId),
      vm: 'db',
      instanceId,
      volumes,
    });
    await site.activity(steps.activities.discardShell, request);
    await site.activity(steps.activities.discardShell, request);
    expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'terminated' } });
    expect(await steps.volumesWith({ vm: 'db', run: runId })).toEqual(idsOf(volumes));
    await steps.removeRun(runId);
    expect(await steps.volumesWith({ vm: 'db', run: runId })).toEqual([]);
  });

  it('removes volumes that a dead proxy host had begun with', async () => {
    const runId = 'superseded-run';
    const { imageId } = await steps.shellImage(runId);
    const first = await steps.createVolumes(runId, 1);
    await steps.ec2.send(
      new AttachVolumeCommand({
        VolumeId: first[0]?.volumeId,
        InstanceId: PROXY_INSTANCE_ID,
        Device: '/dev/sdz',
      }),
    );
    const second = await steps.createVolumes(runId, 2);
    const { instanceId } = await site.activity(
      steps.activities.launchShell,
      steps.shellRequest(runId, imageId),
    );
    await site.activity(steps.activities.attachVolumes, {
      run: site.run(runId),
      vm: 'db',
      instanceId,
      volumes: second,
    });
    await pause(200);
    expect(await steps.volumesWith({ vm: 'db', run: runId })).toEqual(idsOf(second));
    await steps.removeRun(runId);
  });

  it('waits for no volume that something else has deleted, seen or not', async () => {
    const runId = 'deleted-run';
    const volumes = await steps.createVolumes(runId);
    const { imageId } = await steps.shellImage(runId);
    const { instanceId } = await site.activity(
      steps.activities.launchShell,
      steps.shellRequest(runId, imageId),
    );
    for (const VolumeId of idsOf(volumes)) await steps.ec2.send(new DeleteVolumeCommand({ VolumeId }));
    const gone = { type: 'VolumeFailed', nonRetryable: true, message: expect.stringMatching(/is gone/) };

    const attach = { run: site.run(runId), vm: 'db', instanceId, volumes };
    await expect(site.activity(steps.activities.attachVolumes, attach)).rejects.toMatchObject(gone);
    // The client token gives the same volumes again.
    await expect(steps.createVolumes(runId)).rejects.toMatchObject(gone);
    expect(await steps.createVolumes(runId, 2)).toHaveLength(volumes.length);
    await steps.removeRun(runId);
  });

  it("touches no instance and no volume that is not the run's own", async () => {
    const runId = 'careful-run';
    const volumes = await steps.createVolumes(runId);
    const attach = { run: site.run(runId), vm: 'db', instanceId: PROXY_INSTANCE_ID, volumes };
    await expect(site.activity(steps.activities.attachVolumes, attach)).rejects.toMatchObject({
      type: 'WrongInstance',
    });
    const power = { run: site.run(runId), vm: 'db', instanceId: PROXY_INSTANCE_ID, instanceType: 'm5.large' };
    await expect(site.activity(steps.activities.startInstance, power)).rejects.toMatchObject({
      type: 'WrongInstance',
    });
    await expect(site.activity(steps.activities.stopInstance, power)).rejects.toMatchObject({
      type: 'WrongInstance',
    });

    const { imageId } = await steps.shellImage(runId);
    const { instanceId } = await site.activity(
      steps.activities.launchShell,
      steps.shellRequest(runId, imageId),
    );
    const foreign = await steps.createVolumes('another-run');
    await expect(
      site.activity(steps.activities.attachVolumes, {
        run: site.run(runId),
        vm: 'db',
        instanceId,
        volumes: foreign,
      }),
    ).rejects.toMatchObject({ type: 'WrongVolume' });
    await steps.removeRun(runId);
    expect(await steps.volumesWith({ run: runId })).toEqual([]);
    expect(await steps.volumesWith({ vm: 'db', run: 'another-run' })).toEqual(idsOf(foreign));
    await steps.removeRun('another-run');
  });

  it('tells apart what a retry heals, what the account lacks, and what it may not', async () => {
    const failing = async (code: string, times = 1) => {
      site.faults.push({ operation: 'CreateVolume', times, code });
      return steps.createVolumes('failing-run').catch((error: unknown) => error);
    };
    // The client has waited it out for as long as it does; two disks ask.
    jest.spyOn(Math, 'random').mockReturnValue(0.01);
    const throttled = await failing('RequestLimitExceeded', 1000);
    jest.restoreAllMocks();
    site.faults.length = 0;
    expect(throttled).toMatchObject({
      type: 'Throttled',
      nonRetryable: false,
      nextRetryDelay: expect.any(Number) as number,
    });
    expect(await failing('InvalidSnapshot.NotFound')).toMatchObject({
      type: 'NotYetVisible',
      nonRetryable: false,
    });
    expect(await failing('VolumeLimitExceeded')).toMatchObject({
      type: 'QuotaExceeded',
      nonRetryable: true,
      message: expect.stringContaining('gp3') as string,
    });
    expect(await failing('UnauthorizedOperation')).toMatchObject({
      type: 'NotPermitted',
      nonRetryable: true,
      message: expect.stringContaining('ec2:CreateVolume') as string,
    });
    await steps.removeRun('failing-run');
  });

  it('stops waiting when it is cancelled', async () => {
    const environment = quietEnvironment();
    site.faults.push({ operation: 'DescribeVolumes', times: 1e9, code: 'RequestLimitExceeded' });
    setTimeout(() => environment.cancel(), 300);
    const input = {
      run: site.run('cancelled-run'),
      vm: 'db',
      attempt: 1,
      drCopy: steps.drCopy,
      availabilityZone: PROXY_AVAILABILITY_ZONE,
      test: false,
    };
    await expect(environment.run(steps.activities.createVolumes, input)).rejects.toMatchObject({
      name: 'CancelledFailure',
    });
    site.faults.length = 0;
    await steps.removeRun('cancelled-run');
  });
});

describe('waitUntilReady', () => {
  it('asks the address, and has the console when nobody answers', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const input = {
      vm: 'db',
      instanceId: PROXY_INSTANCE_ID,
      address: '127.0.0.1',
      probe: { tcp: port, timeout: 5 },
    };
    const { seconds } = await site.activity(steps.activities.waitUntilReady, input);
    expect(seconds).toBeLessThan(5);
    await new Promise((resolve) => server.close(resolve));
    await expect(
      site.activity(steps.activities.waitUntilReady, { ...input, probe: { tcp: port, timeout: 0.3 } }),
    ).rejects.toMatchObject({
      type: 'NotReady',
      message: expect.stringContaining("console's end") as string,
    });
  });
});
