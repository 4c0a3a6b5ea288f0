import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as EC2 from '@aws-sdk/client-ec2';
import { FAULTS_FILE } from '../../sandbox/aws/faults/rule';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_INSTANCE_ID,
} from '../../sandbox/aws/fixtures';
import { awsDisks } from './aws-disks';
import { AwsHarness, eventually, failure } from './aws-harness';

const aws = new AwsHarness();
let disks: ReturnType<typeof awsDisks>;
let ec2: EC2.EC2Client;

beforeAll(async () => {
  await aws.start();
  disks = awsDisks(aws);
  ({ ec2 } = disks);
});
afterAll(async () => {
  disks.close();
  await aws.stop();
});

describe('instances', () => {
  let imageId = '';

  beforeAll(async () => {
    const snapshot = await disks.completedSnapshot({});
    const request = {
      Name: 'shell bios',
      Architecture: 'x86_64',
      VirtualizationType: 'hvm',
      RootDeviceName: '/dev/xvda',
      BootMode: 'legacy-bios',
      EnaSupport: true,
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: snapshot } }],
    } as const;
    ({ ImageId: imageId = '' } = await ec2.send(
      new EC2.RegisterImageCommand({ ...request, BlockDeviceMappings: [...request.BlockDeviceMappings] }),
    ));
    expect(
      (
        await failure(
          ec2.send(
            new EC2.RegisterImageCommand({
              ...request,
              BlockDeviceMappings: [...request.BlockDeviceMappings],
            }),
          ),
        )
      ).name,
    ).toBe('InvalidAMIName.Duplicate');
    expect((await failure(ec2.send(new EC2.DeleteSnapshotCommand({ SnapshotId: snapshot })))).name).toBe(
      'InvalidSnapshot.InUse',
    );
  });

  const launch = (more: Partial<EC2.RunInstancesRequest> = {}) =>
    ec2.send(
      new EC2.RunInstancesCommand({
        ImageId: imageId,
        InstanceType: 't3.micro',
        MinCount: 1,
        MaxCount: 1,
        NetworkInterfaces: [
          {
            DeviceIndex: 0,
            SubnetId: PRODUCTION_SUBNET_ID,
            Groups: [PRODUCTION_SECURITY_GROUP_ID],
            AssociatePublicIpAddress: true,
          },
        ],
        TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'lifeboat:vm', Value: 'web' }] }],
        ...more,
      }),
    );

  it('have the addresses of their card that were asked for, each once, and as many as the type takes', async () => {
    const asked = (PrivateIpAddresses: EC2.PrivateIpAddressSpecification[], more: object = {}) =>
      launch({
        NetworkInterfaces: [
          {
            DeviceIndex: 0,
            SubnetId: PRODUCTION_SUBNET_ID,
            Groups: [PRODUCTION_SECURITY_GROUP_ID],
            PrivateIpAddresses,
          },
        ],
        ...more,
      });
    const first = { Primary: true, PrivateIpAddress: '10.0.1.60' };
    const second = { Primary: false, PrivateIpAddress: '10.0.1.61' };
    const { Instances: [launched] = [] } = await asked([first, second]);
    expect(launched).toMatchObject({ PrivateIpAddress: '10.0.1.60' });
    const { NetworkInterfaces } = await ec2.send(
      new EC2.DescribeNetworkInterfacesCommand({
        Filters: [{ Name: 'addresses.private-ip-address', Values: ['10.0.1.61'] }],
      }),
    );
    expect(NetworkInterfaces?.[0]?.PrivateIpAddresses).toMatchObject([first, second]);

    const other = { Primary: false, PrivateIpAddress: '10.0.1.62' };
    const refusals: [Promise<unknown>, string][] = [
      [asked([second]), 'InvalidIPAddress.InUse'],
      [
        asked([other, { Primary: false, PrivateIpAddress: '10.9.1.62' }], { InstanceType: 't3.small' }),
        'InvalidParameterValue',
      ],
      [
        asked([
          { ...other, Primary: true },
          { ...other, Primary: true },
        ]),
        'InvalidParameterCombination',
      ],
      [asked([other], { MaxCount: 2 }), 'InvalidParameterCombination'],
      // A t3.micro's card takes two.
      [asked([other, { Primary: false, PrivateIpAddress: '10.0.1.63' }]), 'PrivateIpAddressLimitExceeded'],
    ];
    for (const [refused, name] of refusals) expect((await failure(refused)).name).toBe(name);
    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds: [launched?.InstanceId ?? ''] }));
    await eventually(
      () =>
        asked([second]).then(
          () => 'launched',
          (error: Error) => error.name,
        ),
      (outcome) => outcome === 'launched',
    );
  });

  it('go through the life of a shell whose root is swapped', async () => {
    const { Instances: [launched] = [] } = await launch({ ClientToken: 'shell' });
    const id = launched?.InstanceId ?? '';
    expect(launched?.State?.Name).toBe('pending');
    expect((await launch({ ClientToken: 'shell' })).Instances?.[0]?.InstanceId).toBe(id);
    expect((await failure(launch({ ClientToken: 'shell', InstanceType: 't3.small' }))).name).toBe(
      'IdempotentParameterMismatch',
    );
    expect((await failure(ec2.send(new EC2.StopInstancesCommand({ InstanceIds: [id] })))).name).toBe(
      'IncorrectInstanceState',
    );
    await disks.instanceState(id, 'running');
    const running = await disks.describeInstance(id);
    expect(running?.PublicIpAddress).toMatch(/^127\.99\.20\.\d+$/);
    const root = running?.BlockDeviceMappings?.[0]?.Ebs?.VolumeId ?? '';
    expect((await failure(ec2.send(new EC2.DetachVolumeCommand({ VolumeId: root })))).name).toBe(
      'OperationNotPermitted',
    );

    await ec2.send(new EC2.StopInstancesCommand({ InstanceIds: [id], Force: true, SkipOsShutdown: true }));
    await disks.instanceState(id, 'stopped');
    expect((await disks.describeInstance(id))?.PublicIpAddress).toBeUndefined();
    await ec2.send(new EC2.DetachVolumeCommand({ VolumeId: root }));
    await disks.volumeState(root, 'available');
    expect((await failure(ec2.send(new EC2.StartInstancesCommand({ InstanceIds: [id] })))).name).toBe(
      'IncorrectInstanceState',
    );
    await ec2.send(new EC2.DeleteVolumeCommand({ VolumeId: root }));

    const volumes = [];
    for (const device of ['/dev/xvda', '/dev/sdb']) {
      const { VolumeId = '' } = await ec2.send(
        new EC2.CreateVolumeCommand({ Size: 1, AvailabilityZone: 'eu-central-1a' }),
      );
      await disks.volumeState(VolumeId, 'available');
      await ec2.send(new EC2.AttachVolumeCommand({ VolumeId, InstanceId: id, Device: device }));
      volumes.push(VolumeId);
    }
    await ec2.send(
      new EC2.ModifyInstanceAttributeCommand({
        InstanceId: id,
        BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { DeleteOnTermination: true } }],
      }),
    );
    await ec2.send(new EC2.StartInstancesCommand({ InstanceIds: [id] }));
    await disks.instanceState(id, 'running');
    const again = await disks.describeInstance(id);
    expect(again?.PublicIpAddress).toMatch(/^127\.99\.20\./);
    expect(again?.PublicIpAddress).not.toBe(running?.PublicIpAddress);
    expect(again?.PrivateIpAddress).toBe(running?.PrivateIpAddress);

    await aws.restart();
    await disks.instanceState(id, 'running');
    const set = await ec2.send(
      new EC2.CreateSnapshotsCommand({
        InstanceSpecification: { InstanceId: id },
        TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'set', Value: '1' }] }],
      }),
    );
    expect(set.Snapshots?.map((snapshot) => snapshot.VolumeId).sort()).toEqual([...volumes].sort());
    const tagged = { Filters: [{ Name: 'tag:set', Values: ['1'] }] };
    await eventually(
      async () =>
        (await ec2.send(new EC2.DescribeSnapshotsCommand(tagged))).Snapshots?.map(
          (snapshot) => snapshot.State as string,
        ) ?? [],
      (states) => states.length === 2 && states.every((state) => state === 'completed'),
    );

    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds: [id] }));
    await disks.instanceState(id, 'terminated');
    expect(
      (await failure(ec2.send(new EC2.DescribeVolumesCommand({ VolumeIds: [volumes[0] ?? ''] })))).name,
    ).toBe('InvalidVolume.NotFound');
    await disks.volumeState(volumes[1] ?? '', 'available');
  });

  it('end where their first start fails, and stop again where a later one does', async () => {
    const startsFail = (operation: string): void =>
      writeFileSync(
        join(aws.config.directory, FAULTS_FILE),
        JSON.stringify({
          rules: [{ name: operation, operations: [operation], fault: { kind: 'resource-error' } }],
        }),
      );
    const quietly = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const reason = {
      Code: 'Server.InternalError',
      Message: 'Server.InternalError: Internal error on launch',
    };
    try {
      startsFail('RunInstances');
      const { Instances: [failed] = [] } = await launch();
      await disks.instanceState(failed?.InstanceId ?? '', 'terminated');
      expect((await disks.describeInstance(failed?.InstanceId ?? ''))?.StateReason).toEqual(reason);

      startsFail('StartInstances');
      const { Instances: [good] = [] } = await launch();
      const InstanceIds = [good?.InstanceId ?? ''];
      await disks.instanceState(InstanceIds[0]!, 'running');
      await ec2.send(new EC2.StopInstancesCommand({ InstanceIds }));
      await disks.instanceState(InstanceIds[0]!, 'stopped');
      await ec2.send(new EC2.StartInstancesCommand({ InstanceIds }));
      await eventually(
        async () => (await disks.describeInstance(InstanceIds[0]!))?.StateReason?.Code,
        (code) => code === reason.Code,
      );
      await disks.instanceState(InstanceIds[0]!, 'stopped');
      await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds }));
    } finally {
      rmSync(join(aws.config.directory, FAULTS_FILE));
      quietly.mockRestore();
    }
  });

  it('have status checks, which take their time, and a screen', async () => {
    const { Instances: made = [] } = await launch({ MinCount: 6, MaxCount: 6 });
    const InstanceIds = made.map(({ InstanceId }) => InstanceId ?? '');
    for (const id of InstanceIds) await disks.instanceState(id, 'running');
    const statuses = async (input: EC2.DescribeInstanceStatusRequest) =>
      (await ec2.send(new EC2.DescribeInstanceStatusCommand(input))).InstanceStatuses ?? [];
    const checksTake = async (seconds: number): Promise<void> => {
      aws.config.times = { ...aws.config.times, statusChecks: seconds };
      await aws.restart();
    };
    await checksTake(3600);
    const first = await statuses({ InstanceIds });
    expect(first).toHaveLength(6);
    expect(first[0]).toMatchObject({
      InstanceState: { Name: 'running' },
      SystemStatus: { Status: 'initializing', Details: [{ Name: 'reachability', Status: 'initializing' }] },
    });
    const good = { InstanceIds, Filters: [{ Name: 'instance-status.status', Values: ['ok'] }] };
    expect(await statuses(good)).toEqual([]);
    await checksTake(0);
    expect(await statuses(good)).toHaveLength(6);
    await ec2.send(new EC2.StopInstancesCommand({ InstanceIds: InstanceIds.slice(0, 1) }));
    await disks.instanceState(InstanceIds[0]!, 'stopped');
    expect(await statuses({ InstanceIds })).toHaveLength(5);
    expect(
      (await statuses({ InstanceIds, IncludeAllInstances: true })).find(
        ({ InstanceId }) => InstanceId === InstanceIds[0],
      ),
    ).toMatchObject({ InstanceStatus: { Status: 'not-applicable', Details: [] } });
    const pages: number[] = [];
    for await (const { InstanceStatuses = [] } of EC2.paginateDescribeInstanceStatus(
      { client: ec2, pageSize: 5 },
      { IncludeAllInstances: true },
    ))
      pages.push(InstanceStatuses.length);
    expect(pages.length).toBeGreaterThan(1);
    expect(Math.max(...pages)).toBe(5);
    const refused = async (input: EC2.DescribeInstanceStatusRequest) => (await failure(statuses(input))).name;
    expect(await refused({ InstanceIds, MaxResults: 5 })).toBe('InvalidParameterCombination');
    expect(await refused({ InstanceIds: Array.from({ length: 101 }, () => InstanceIds[0]!) })).toBe(
      'InvalidParameterValue',
    );
    expect(await refused({ Filters: [{ Name: 'instance-id', Values: InstanceIds }] })).toBe(
      'InvalidParameterValue',
    );

    const screen = (InstanceId: string, DryRun?: boolean) =>
      ec2.send(new EC2.GetConsoleScreenshotCommand({ InstanceId, DryRun }));
    const { ImageData = '' } = await screen(InstanceIds[1]!);
    expect(Buffer.from(ImageData, 'base64').subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
    for (const [id, code] of [
      [InstanceIds[0]!, 'IncorrectInstanceState'],
      ['i-00000000000000000', 'InvalidInstanceID.NotFound'],
      ['nonsense', 'InvalidInstanceID.Malformed'],
      [PROXY_INSTANCE_ID, 'UnsupportedOperation'],
    ] as const)
      expect((await failure(screen(id))).name).toBe(code);
    expect((await failure(screen(InstanceIds[1]!, true))).name).toBe('DryRunOperation');
    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds }));
    for (const id of InstanceIds) await disks.instanceState(id, 'terminated');
  });

  it('refuse what cannot be', async () => {
    const base = { NetworkInterfaces: undefined, SubnetId: PRODUCTION_SUBNET_ID };
    expect((await failure(launch({ InstanceType: 'm99.huge' as never }))).name).toBe('InvalidInstanceType');
    expect((await failure(launch({ ...base, SubnetId: 'subnet-00000000000000000' }))).name).toBe(
      'InvalidSubnetID.NotFound',
    );
    expect((await failure(launch({ ...base, SecurityGroupIds: ['sg-0a11fe00000000002'] }))).name).toBe(
      'InvalidParameter',
    );
    expect((await failure(launch({ ImageId: 'ami-00000000000000000' }))).name).toBe('InvalidAMIID.NotFound');
    expect((await failure(launch({ ...base, PrivateIpAddress: '10.0.1.4' }))).name).toBe(
      'InvalidIPAddress.InUse',
    );
    expect((await failure(launch({ DryRun: true }))).name).toBe('DryRunOperation');
    expect(
      (await failure(ec2.send(new EC2.StopInstancesCommand({ InstanceIds: ['i-00000000000000000'] })))).name,
    ).toBe('InvalidInstanceID.NotFound');
    expect(
      (await failure(ec2.send(new EC2.StopInstancesCommand({ InstanceIds: [PROXY_INSTANCE_ID] })))).name,
    ).toBe('UnsupportedOperation');
    expect(
      (
        await failure(
          ec2.send(new EC2.DescribeInstancesCommand({ Filters: [{ Name: 'nonsense', Values: ['x'] }] })),
        )
      ).name,
    ).toBe('InvalidParameterValue');
    expect((await failure(ec2.send(new EC2.CreateKeyPairCommand({ KeyName: 'k' })))).name).toBe(
      'InvalidAction',
    );
    const stranger = new EC2.EC2Client(aws.clientSettings('AKIASOMEBODY'));
    expect(await failure(stranger.send(new EC2.DescribeRegionsCommand({})))).toMatchObject({
      name: 'AuthFailure',
      status: 401,
    });
    stranger.destroy();
  });

  it('are found by filters with wildcards, page by page, and have interfaces and tags', async () => {
    const { Instances: made = [] } = await launch({
      MinCount: 6,
      MaxCount: 6,
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'group', Value: 'pages*' }] }],
    });
    const filter = {
      Filters: [
        { Name: 'tag:group', Values: ['pag?s\\*', 'nobody'] },
        { Name: 'subnet-id', Values: ['subnet-0a11*'] },
      ],
    };
    const seen: string[] = [];
    for await (const page of EC2.paginateDescribeInstances({ client: ec2, pageSize: 5 }, filter))
      seen.push(
        ...(page.Reservations ?? []).flatMap((r) => (r.Instances ?? []).map((i) => i.InstanceId ?? '')),
      );
    const ids = made.map((instance) => instance.InstanceId ?? '');
    expect([...seen].sort()).toEqual([...ids].sort());

    await ec2.send(
      new EC2.CreateTagsCommand({ Resources: ids.slice(0, 2), Tags: [{ Key: 'odd & <even>', Value: '' }] }),
    );
    const tags = await ec2.send(
      new EC2.DescribeTagsCommand({ Filters: [{ Name: 'key', Values: ['odd & <even>'] }] }),
    );
    expect(tags.Tags?.map((tag) => tag.ResourceId).sort()).toEqual(ids.slice(0, 2).sort());
    await ec2.send(new EC2.DeleteTagsCommand({ Resources: ids, Tags: [{ Key: 'odd & <even>' }] }));
    expect(
      (await ec2.send(new EC2.DescribeTagsCommand({ Filters: [{ Name: 'key', Values: ['odd*'] }] }))).Tags ??
        [],
    ).toEqual([]);

    const interfaces = await ec2.send(
      new EC2.DescribeNetworkInterfacesCommand({
        Filters: [{ Name: 'attachment.instance-id', Values: ids }],
      }),
    );
    expect(new Set(interfaces.NetworkInterfaces?.map((card) => card.PrivateIpAddress)).size).toBe(6);
    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds: ids }));
    for (const id of ids) await disks.instanceState(id, 'terminated');
    const cards = await ec2.send(
      new EC2.DescribeNetworkInterfacesCommand({
        Filters: [{ Name: 'attachment.instance-id', Values: ids }],
      }),
    );
    expect(cards.NetworkInterfaces ?? []).toEqual([]);
  });

  it('describe their surroundings', async () => {
    const zones = await ec2.send(new EC2.DescribeAvailabilityZonesCommand({}));
    expect(zones.AvailabilityZones?.map((zone) => zone.ZoneName)).toEqual([
      'eu-central-1a',
      'eu-central-1b',
      'eu-central-1c',
    ]);
    const types = await ec2.send(new EC2.DescribeInstanceTypesCommand({ InstanceTypes: ['m6i.large'] }));
    expect(types.InstanceTypes?.[0]).toMatchObject({
      VCpuInfo: { DefaultVCpus: 2 },
      MemoryInfo: { SizeInMiB: 8192 },
      SupportedBootModes: ['legacy-bios', 'uefi'],
    });
    const offers = await ec2.send(
      new EC2.DescribeInstanceTypeOfferingsCommand({
        LocationType: 'availability-zone',
        Filters: [
          { Name: 'instance-type', Values: ['t3.micro'] },
          { Name: 'location', Values: ['eu-central-1a'] },
        ],
      }),
    );
    expect(offers.InstanceTypeOfferings).toEqual([
      { InstanceType: 't3.micro', LocationType: 'availability-zone', Location: 'eu-central-1a' },
    ]);
    const subnets = await ec2.send(new EC2.DescribeSubnetsCommand({ SubnetIds: [PRODUCTION_SUBNET_ID] }));
    expect(subnets.Subnets?.[0]).toMatchObject({
      CidrBlock: '10.0.1.0/24',
      AvailabilityZone: 'eu-central-1a',
    });
    const groups = await ec2.send(
      new EC2.DescribeSecurityGroupsCommand({ GroupIds: [PRODUCTION_SECURITY_GROUP_ID] }),
    );
    expect(groups.SecurityGroups?.[0]?.IpPermissions?.map((rule) => rule.FromPort)).toEqual([80, 6379]);
  });
});
