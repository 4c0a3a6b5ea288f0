import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeVolumesCommand,
  type Instance,
} from '@aws-sdk/client-ec2';
import {
  createDriverActivities,
  createFailoverActivities,
} from '../../activities/aws-proxy/failover-activities';
import { type DrCopy, type RecoveredVolume } from '../../activities/aws-proxy/contract';
import { awsClients } from '../../activities/aws-proxy/clients';
import { findDrCopy, withConfiguration } from '../../activities/aws-proxy/dr-copy';
import { listSnapshotIds, waitUntilCompleted } from '../support/failover-listing';
import { deleteSnapshots } from '../../activities/aws-proxy/snapshots';
import { readInstance, readRecoveredVolume, tagFilters, tagList } from '../../activities/aws-proxy/tags';
import { dialer } from '../../activities/dial';
import { GuestNotAdaptableError, type GuestAdapter, type RecoverySiteAdaptation } from '../../guest/port';
import { publishPlan } from '../../repository/plans';
import { takePlanState } from '../../repository/plan-state';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_AVAILABILITY_ZONE,
  PROXY_INSTANCE_ID,
  REGION,
  TEST_SECURITY_GROUP_ID,
} from '../../sandbox/aws/fixtures';
import {
  DB_DISKS,
  type FailoverSite,
  publishDrCopy,
  quietEnvironment,
  shopPlan,
  startFailoverSite,
} from '../support/failover-site';

let site: FailoverSite;
let activities: ReturnType<typeof createFailoverActivities>;
let drCopySnapshots: string[];
let drCopy: DrCopy;

beforeAll(async () => {
  site = await startFailoverSite();
  activities = createFailoverActivities({
    clients: site.clients,
    region: REGION,
    objectStore: () => site.store,
    dial: dialer([]),
    pollSeconds: 0.05,
  });
  drCopySnapshots = await publishDrCopy(site, 'db', DB_DISKS);
  await waitUntilCompleted(site.clients.ec2, drCopySnapshots);
  const set = await findDrCopy(site.clients.ec2, 'shop', 'db');
  drCopy = await withConfiguration(site.store, set!);
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
});

const check = (plan = shopPlan(), test = false) =>
  site.activity(activities.checkFailover, { run: site.run('check'), plan, test });

async function describe_(instanceId: string): Promise<Instance> {
  const { Reservations } = await site.clients.ec2.send(
    new DescribeInstancesCommand({ InstanceIds: [instanceId] }),
  );
  return Reservations?.[0]?.Instances?.[0] ?? {};
}

/** Ids of the volumes that carry the tags, sorted. */
async function volumesWith(tags: Parameters<typeof tagFilters>[0]): Promise<string[]> {
  const { Volumes } = await site.clients.ec2.send(new DescribeVolumesCommand({ Filters: tagFilters(tags) }));
  return (Volumes ?? []).flatMap(({ VolumeId }) => VolumeId ?? []).sort();
}

const idsOf = (volumes: RecoveredVolume[]): string[] => volumes.map(({ volumeId }) => volumeId).sort();

function shellRequest(runId: string, imageId: string) {
  return {
    run: site.run(runId),
    vm: 'db',
    attempt: 1,
    imageId,
    instanceType: 'm6i.large',
    subnet: PRODUCTION_SUBNET_ID,
    securityGroups: [PRODUCTION_SECURITY_GROUP_ID],
    publicAddress: true,
    recoveryPoint: drCopy.recoveryPoint,
    test: false,
  };
}

const createVolumes = (runId: string, attempt = 1): Promise<RecoveredVolume[]> =>
  site.activity(activities.createVolumes, {
    run: site.run(runId),
    vm: 'db',
    attempt,
    drCopy,
    availabilityZone: PROXY_AVAILABILITY_ZONE,
    test: false,
  });

const shellImage = (runId: string) =>
  site.activity(activities.ensureShellImage, { run: site.run(runId), firmware: 'bios' as const });

const removeRun = (runId: string) =>
  site.activity(activities.removeRecoveryResources, { run: site.run(runId) });

describe('checkFailover', () => {
  it('finds the DR copy and the zone of a plan that is ready, for both modes, and changes nothing', async () => {
    site.calls.length = 0;
    const ready = await check();
    expect(ready.availabilityZone).toBe(PROXY_AVAILABILITY_ZONE);
    expect(ready.drCopies).toMatchObject([
      {
        vm: 'db',
        configuration: { firmware: 'bios' },
        disks: DB_DISKS.map((disk, index) => ({ ...disk, snapshotId: drCopySnapshots[index] })),
      },
    ]);
    await check(shopPlan(), true);
    const changing = site.calls.filter(({ operation }) => !/^(Describe|Get|List|Head)/.test(operation));
    expect(changing).toEqual([]);
  });

  it('names all that is wrong in one failure', async () => {
    const plan = shopPlan();
    plan.recoverySite.production.subnet = 'subnet-0123456789abcdef0';
    plan.recoverySite.production.securityGroups = ['sg-0123456789abcdef0'];
    const [vm] = plan.vms;
    plan.vms = [
      { ...vm!, instanceTypes: ['m6i.large', 'z9.huge'] },
      { ...vm!, name: 'web', privateAddress: undefined },
    ];
    plan.dns!.hostedZone = 'ZNOTTHERE';
    const failure = check(plan);
    await expect(failure).rejects.toMatchObject({ type: 'NotReadyForFailover', nonRetryable: true });
    await expect(failure).rejects.toThrow(
      [
        'The plan shop is not ready for a failover; nothing was changed.',
        '- The subnet subnet-0123456789abcdef0 does not exist.',
        '- The security group sg-0123456789abcdef0 does not exist.',
        '- The instance type z9.huge of db does not exist in this Region.',
        '- There is no complete DR copy of web; back it up and restore it first.',
        '- The hosted zone ZNOTTHERE does not exist.',
      ].join('\n'),
    );
  });

  it('sees security groups of another VPC, addresses that are taken or outside, and records of another zone', async () => {
    const plan = shopPlan();
    plan.recoverySite.production.securityGroups = [TEST_SECURITY_GROUP_ID];
    plan.recoverySite.production.publicAddress = false;
    plan.vms[0]!.privateAddress = '10.0.1.4';
    plan.dns!.records[0]!.name = 'www.elsewhere.example';
    await expect(check(plan)).rejects.toThrow(
      /is in vpc-\w+2, the subnet[\s\S]*10\.0\.1\.4 of db is in use[\s\S]*not in the hosted zone/,
    );
    plan.vms[0]!.privateAddress = '10.0.2.30';
    await expect(check(plan)).rejects.toThrow('10.0.2.30 of db is not in the subnet');
  });

  it('is not misled by an incomplete DR copy', async () => {
    const plan = shopPlan();
    plan.vms[0]!.name = 'half';
    const halves = await publishDrCopy(site, 'half', DB_DISKS);
    await waitUntilCompleted(site.clients.ec2, halves);
    expect(await check(plan)).toMatchObject({ drCopies: [{ vm: 'half' }] });
    await deleteSnapshots(site.clients.ec2, halves.slice(0, 1));
    await expect(check(plan)).rejects.toThrow('There is no complete DR copy of half');
  });
});

describe('ensureShellImage', () => {
  it('registers one image a firmware, whoever asks, and leaves no snapshot behind', async () => {
    const images = await Promise.all(['a', 'b', 'a'].map((runId) => shellImage(`image-${runId}`)));
    expect(new Set(images.map(({ imageId }) => imageId)).size).toBe(1);
    expect(await shellImage('image-c')).toEqual(images[0]);
    const { Images } = await site.clients.ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
    expect(Images).toHaveLength(1);
    expect(Images?.[0]).toMatchObject({
      BootMode: 'legacy-bios',
      EnaSupport: true,
      RootDeviceName: '/dev/xvda',
    });
    const used = Images?.[0]?.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId;
    expect(await listSnapshotIds(site.clients.ec2, undefined, 'shell')).toEqual([used]);
  });

  it('finds the image that was registered when the answer was lost', async () => {
    const request = { run: site.run('image-lost'), firmware: 'uefi' as const };
    site.faults.push({ operation: 'RegisterImage', times: 1, code: 'InternalError', carriedOut: true });
    await expect(site.activity(activities.ensureShellImage, request)).rejects.toMatchObject({
      type: 'AwsTrouble',
    });
    const { imageId } = await site.activity(activities.ensureShellImage, request);
    const { Images } = await site.clients.ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
    expect(Images?.filter(({ BootMode }) => BootMode === 'uefi').map(({ ImageId }) => ImageId)).toEqual([
      imageId,
    ]);
  });
});

describe('failover of a VM', () => {
  it('makes volumes, boots from them, stops, and leaves nothing behind when it is removed', async () => {
    const runId = 'whole-run';
    const { imageId } = await shellImage(runId);
    const volumes = await createVolumes(runId);
    expect(volumes).toMatchObject(DB_DISKS);
    // Every step is tried again with the same effect.
    expect(await createVolumes(runId)).toEqual(volumes);
    const { Volumes } = await site.clients.ec2.send(
      new DescribeVolumesCommand({ VolumeIds: idsOf(volumes) }),
    );
    for (const volume of Volumes ?? [])
      expect(readRecoveredVolume(volume.Tags)).toMatchObject({ vm: 'db', run: runId, role: 'recovery' });

    const request = { ...shellRequest(runId, imageId), privateAddress: '10.0.1.30' };
    const { instanceId } = await site.activity(activities.launchShell, request);
    expect(await site.activity(activities.launchShell, request)).toEqual({ instanceId });
    const shell = await describe_(instanceId);
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
    expect(readInstance(shell.Tags)).toMatchObject({ recoveryPoint: drCopy.recoveryPoint, attempt: 1 });
    const shellRoot = shell.BlockDeviceMappings?.[0]?.Ebs?.VolumeId;

    const attach = { run: site.run(runId), vm: 'db', instanceId, volumes };
    await site.activity(activities.attachVolumes, attach);
    await site.activity(activities.attachVolumes, attach);
    const attached = await describe_(instanceId);
    const mappings = attached.BlockDeviceMappings?.map(({ DeviceName, Ebs }) => [DeviceName, Ebs?.VolumeId]);
    expect(mappings?.sort()).toEqual([
      ['/dev/sdf', volumes[1]?.volumeId],
      ['/dev/xvda', volumes[0]?.volumeId],
    ]);
    expect(attached.BlockDeviceMappings?.every(({ Ebs }) => Ebs?.DeleteOnTermination)).toBe(true);
    expect(await volumesWith({ vm: 'db', run: runId })).toEqual(idsOf(volumes));
    expect(await volumesWith({ vm: 'db', run: runId })).not.toContain(shellRoot);

    const start = { run: site.run(runId), vm: 'db', instanceId, instanceType: 'm5.large' };
    const addresses = await site.activity(activities.startInstance, start);
    expect(addresses).toEqual({
      privateAddress: '10.0.1.30',
      publicAddress: expect.stringMatching(/^127\.77\./) as string,
    });
    expect(await site.activity(activities.startInstance, start)).toEqual(addresses);
    expect(await describe_(instanceId)).toMatchObject({
      InstanceType: 'm5.large',
      State: { Name: 'running' },
    });

    await site.activity(activities.stopInstance, start);
    await site.activity(activities.stopInstance, start);
    expect(await describe_(instanceId)).toMatchObject({ State: { Name: 'stopped' } });

    const { removed } = await removeRun(runId);
    expect(removed).toEqual(expect.arrayContaining([instanceId, ...idsOf(volumes)]));
    const left = await site.activity(activities.listResources, { plan: 'shop' });
    expect(
      left
        .filter(({ tags }) => tags['lifeboat:vm'] === 'db')
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...drCopySnapshots].sort());
    expect((await removeRun(runId)).removed).toEqual([]);
  });

  it('says that there is no capacity, at launch and at start', async () => {
    const runId = 'capacity-run';
    const { imageId } = await shellImage(runId);
    site.faults.push({ operation: 'RunInstances', times: 1, code: 'InsufficientInstanceCapacity' });
    const request = shellRequest(runId, imageId);
    await expect(site.activity(activities.launchShell, request)).rejects.toMatchObject({
      type: 'NoCapacity',
      nonRetryable: true,
    });
    const { instanceId } = await site.activity(activities.launchShell, { ...request, attempt: 2 });
    site.faults.push({ operation: 'StartInstances', times: 1, code: 'InsufficientInstanceCapacity' });
    const start = { run: site.run(runId), vm: 'db', instanceId, instanceType: 'm6i.large' };
    await expect(site.activity(activities.startInstance, start)).rejects.toMatchObject({
      type: 'NoCapacity',
    });
    await site.activity(activities.startInstance, { ...start, instanceType: 'm5.large' });
    expect(await describe_(instanceId)).toMatchObject({ InstanceType: 'm5.large' });
    await removeRun(runId);
  });

  it('launches one instance when the answer to the launch is lost', async () => {
    const runId = 'lost-run';
    const { imageId } = await shellImage(runId);
    site.faults.push({ operation: 'RunInstances', times: 1, code: 'InternalError', carriedOut: true });
    const request = shellRequest(runId, imageId);
    await expect(site.activity(activities.launchShell, request)).rejects.toMatchObject({
      nonRetryable: false,
    });
    const { instanceId } = await site.activity(activities.launchShell, request);
    const { removed } = await removeRun(runId);
    expect(removed.filter((id) => id.startsWith('i-'))).toEqual([instanceId]);
  });

  it('gives a shell up and keeps the volumes that hung on it', async () => {
    const runId = 'discard-run';
    const { imageId } = await shellImage(runId);
    const volumes = await createVolumes(runId);
    const request = shellRequest(runId, imageId);
    const { instanceId } = await site.activity(activities.launchShell, request);
    await site.activity(activities.attachVolumes, { run: site.run(runId), vm: 'db', instanceId, volumes });
    await site.activity(activities.discardShell, request);
    await site.activity(activities.discardShell, request);
    expect(await describe_(instanceId)).toMatchObject({ State: { Name: 'terminated' } });
    expect(await volumesWith({ vm: 'db', run: runId })).toEqual(idsOf(volumes));
    await removeRun(runId);
    expect(await volumesWith({ vm: 'db', run: runId })).toEqual([]);
  });

  it('removes volumes that a dead proxy host had begun with', async () => {
    const runId = 'superseded-run';
    const { imageId } = await shellImage(runId);
    const first = await createVolumes(runId, 1);
    await site.clients.ec2.send(
      new AttachVolumeCommand({
        VolumeId: first[0]?.volumeId,
        InstanceId: PROXY_INSTANCE_ID,
        Device: '/dev/sdz',
      }),
    );
    const second = await createVolumes(runId, 2);
    const { instanceId } = await site.activity(activities.launchShell, shellRequest(runId, imageId));
    await site.activity(activities.attachVolumes, {
      run: site.run(runId),
      vm: 'db',
      instanceId,
      volumes: second,
    });
    await pause(200);
    expect(await volumesWith({ vm: 'db', run: runId })).toEqual(idsOf(second));
    await removeRun(runId);
  });

  it("touches no instance and no volume that is not the run's own", async () => {
    const runId = 'careful-run';
    const volumes = await createVolumes(runId);
    const attach = { run: site.run(runId), vm: 'db', instanceId: PROXY_INSTANCE_ID, volumes };
    await expect(site.activity(activities.attachVolumes, attach)).rejects.toMatchObject({
      type: 'WrongInstance',
    });
    const power = { run: site.run(runId), vm: 'db', instanceId: PROXY_INSTANCE_ID, instanceType: 'm5.large' };
    await expect(site.activity(activities.startInstance, power)).rejects.toMatchObject({
      type: 'WrongInstance',
    });
    await expect(site.activity(activities.stopInstance, power)).rejects.toMatchObject({
      type: 'WrongInstance',
    });

    const { imageId } = await shellImage(runId);
    const { instanceId } = await site.activity(activities.launchShell, shellRequest(runId, imageId));
    const foreign = await createVolumes('another-run');
    await expect(
      site.activity(activities.attachVolumes, {
        run: site.run(runId),
        vm: 'db',
        instanceId,
        volumes: foreign,
      }),
    ).rejects.toMatchObject({ type: 'WrongVolume' });
    await removeRun(runId);
    expect(await volumesWith({ run: runId })).toEqual([]);
    expect(await volumesWith({ vm: 'db', run: 'another-run' })).toEqual(idsOf(foreign));
    await removeRun('another-run');
  });

  it('tells apart what a retry heals, what the account lacks, and what it may not', async () => {
    const failing = async (code: string, operation = 'CreateVolume') => {
      site.faults.push({ operation, times: 1, code });
      return createVolumes('failing-run').catch((error: unknown) => error);
    };
    expect(await failing('RequestLimitExceeded')).toMatchObject({
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
    const down = createFailoverActivities({
      clients: awsClients({ region: REGION, endpoint: 'http://127.0.0.1:9' }),
      region: REGION,
      objectStore: () => site.store,
      dial: dialer([]),
    });
    await expect(site.activity(down.listResources, { plan: 'shop' })).rejects.toMatchObject({
      type: 'Network',
      nonRetryable: false,
    });
    await removeRun('failing-run');
  });

  it('stops waiting when it is cancelled', async () => {
    const environment = quietEnvironment();
    site.faults.push({ operation: 'DescribeVolumes', times: 1e9, code: 'InvalidVolume.NotFound' });
    setTimeout(() => environment.cancel(), 300);
    const input = {
      run: site.run('cancelled-run'),
      vm: 'db',
      attempt: 1,
      drCopy,
      availabilityZone: PROXY_AVAILABILITY_ZONE,
      test: false,
    };
    await expect(environment.run(activities.createVolumes, input)).rejects.toMatchObject({
      name: 'CancelledFailure',
    });
    site.faults.length = 0;
    await removeRun('cancelled-run');
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
    const { seconds } = await site.activity(activities.waitUntilReady, input);
    expect(seconds).toBeLessThan(5);
    await new Promise((resolve) => server.close(resolve));
    await expect(
      site.activity(activities.waitUntilReady, { ...input, probe: { tcp: port, timeout: 0.3 } }),
    ).rejects.toMatchObject({
      type: 'NotReady',
      message: expect.stringContaining("console's end") as string,
    });
  });
});

describe('removeRecoverySite', () => {
  it("removes all runs' resources, and nothing of another plan or with half a tag set, once the state is held", async () => {
    const volumes = await createVolumes('site-run');
    const create = (tags: { Key: string; Value: string }[]) =>
      site.clients.ec2.send(
        new CreateVolumeCommand({
          AvailabilityZone: PROXY_AVAILABILITY_ZONE,
          Size: 1,
          TagSpecifications: [{ ResourceType: 'volume', Tags: tags }],
        }),
      );
    const kept = await Promise.all([
      create(tagList({ plan: 'other', vm: 'keep', run: 'r', role: 'recovery' })),
      create(tagList({ plan: 'shop', vm: 'keep', role: 'recovery' })),
      create([
        ...tagList({ plan: 'shop', vm: 'keep', run: 'r' }),
        { Key: 'lifeboat:role', Value: 'anything' },
      ]),
      create(tagList({ plan: 'shop', vm: 'keep', run: 'r', role: 'copy-volume' })),
    ]);
    const run = site.run('commit-run');
    await expect(site.activity(activities.removeRecoverySite, { run })).rejects.toMatchObject({
      type: 'Fenced',
    });
    expect(await volumesWith({ vm: 'db', run: 'site-run' })).toEqual(idsOf(volumes));

    const { generation } = await takePlanState(site.store, run, ['none'], 'failed-back');
    const { removed } = await site.activity(activities.removeRecoverySite, { run: { ...run, generation } });
    expect(removed.filter((id) => id.startsWith('vol-'))).toEqual(idsOf(volumes));
    expect(await volumesWith({ vm: 'keep' })).toEqual(kept.map(({ VolumeId }) => VolumeId).sort());
    expect(await listSnapshotIds(site.clients.ec2, 'db')).toEqual([...drCopySnapshots].sort());
  });
});

describe('injectDrivers', () => {
  const seen: RecoverySiteAdaptation[] = [];
  /** Stands in for the guest's side only; the volumes that it writes to are the endpoint's. */
  const adapter = (fail?: Error): GuestAdapter => ({
    async adaptForRecoverySite(adaptation) {
      seen.push(adaptation);
      const disk = await open(adaptation.diskPath, 'r+');
      await disk.write(Buffer.from('adapted'), 0, 7, 4096);
      await disk.close();
      if (fail) throw fail;
      return { family: 'test', kernels: [], modules: [], changed: [] };
    },
    revertForPrimarySite: () => Promise.reject(new Error('not asked for')),
  });
  const drivers = (guestAdapter: GuestAdapter) =>
    createDriverActivities({
      host: {
        ec2: site.clients.ec2,
        instanceId: PROXY_INSTANCE_ID,
        deviceDirectory: site.deviceDirectory,
        pollSeconds: 0.05,
      },
      guestAdapter,
      objectStore: () => site.store,
    });

  it('has the volumes on this host with the boot scripts, and lets go of them', async () => {
    const runId = 'drivers-run';
    const volumes = await createVolumes(runId);
    const content = Buffer.from('#!/bin/sh\necho hello\n');
    const sha256 = createHash('sha256').update(content).digest('hex');
    const plan = shopPlan();
    plan.vms[0]!.bootScript = { name: 'first boot.sh', sha256 };
    await publishPlan(site.store, plan, [{ sha256, content }]);

    const input = {
      run: site.run(runId),
      vm: 'db',
      volumes,
      bootScripts: [{ name: 'first boot.sh', sha256 }],
      hosts: [{ address: '10.0.1.30', names: ['db.internal'] }],
    };
    await site.activity(drivers(adapter()).injectDrivers, input);
    const [adaptation] = seen;
    expect(adaptation).toMatchObject({
      runId,
      hosts: input.hosts,
      bootScripts: [{ name: 'first_boot.sh', content }],
      dataDisks: [{ slot: 1 }],
    });
    expect(adaptation?.diskPath).toContain(
      `nvme-Amazon_Elastic_Block_Store_vol${volumes[0]?.volumeId.slice(4)}`,
    );
    expect(await readdir(site.deviceDirectory)).toEqual([]);

    // What was written is on the volume, wherever it is attached next; also after a guest that cannot be adapted.
    const refusing = adapter(new GuestNotAdaptableError('The guest has no nvme module.'));
    await expect(site.activity(drivers(refusing).injectDrivers, input)).rejects.toMatchObject({
      type: 'GuestNotAdaptable',
      nonRetryable: true,
    });
    expect(await readdir(site.deviceDirectory)).toEqual([]);
    const { Volumes } = await site.clients.ec2.send(
      new DescribeVolumesCommand({ VolumeIds: idsOf(volumes) }),
    );
    expect(Volumes?.map(({ State }) => State)).toEqual(['available', 'available']);

    const missing = { ...input, bootScripts: [{ name: 'x', sha256: 'f'.repeat(64) }] };
    await expect(site.activity(drivers(adapter()).injectDrivers, missing)).rejects.toMatchObject({
      type: 'DamagedObject',
    });
    await removeRun(runId);
  });

  it('detaches although the activity was cancelled meanwhile', async () => {
    const runId = 'drivers-cancelled';
    const volumes = await createVolumes(runId);
    const environment = quietEnvironment();
    const cancelling = adapter();
    const slow: GuestAdapter = {
      ...cancelling,
      async adaptForRecoverySite(adaptation) {
        environment.cancel();
        return cancelling.adaptForRecoverySite(adaptation);
      },
    };
    // Cancelled once while the guest is being adapted, once while the first volume is being attached.
    await environment.run(drivers(slow).injectDrivers, {
      run: site.run(runId),
      vm: 'db',
      volumes,
      bootScripts: [],
      hosts: [],
    });
    expect(await readdir(site.deviceDirectory)).toEqual([]);
    const early = quietEnvironment();
    const attach = site.calls.length;
    const watch = setInterval(() => {
      if (site.calls.slice(attach).some(({ operation }) => operation === 'AttachVolume')) early.cancel();
    }, 1);
    const input = { run: site.run(runId), vm: 'db', volumes, bootScripts: [], hosts: [] };
    await expect(early.run(drivers(adapter()).injectDrivers, input)).rejects.toMatchObject({
      name: 'CancelledFailure',
    });
    clearInterval(watch);
    expect(await readdir(site.deviceDirectory)).toEqual([]);
    await removeRun(runId);
  });
});
