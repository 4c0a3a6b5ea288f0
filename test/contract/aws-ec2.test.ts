import { createHash, randomBytes } from 'node:crypto';
import { existsSync, lstatSync, openSync, readSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import * as EBS from '@aws-sdk/client-ebs';
import * as EC2 from '@aws-sdk/client-ec2';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_INSTANCE_ID,
} from '../../sandbox/aws/fixtures';
import { BLOCK_SIZE, ZERO_DIGEST } from '../../sandbox/aws/storage/block';
import { AwsHarness, eventually, failure } from './aws-harness';

const aws = new AwsHarness();
let ec2: EC2.EC2Client;
let ebs: EBS.EBSClient;

beforeAll(async () => {
  await aws.start();
  ec2 = aws.ec2();
  ebs = aws.ebs();
});
afterAll(async () => {
  ec2.destroy();
  ebs.destroy();
  await aws.stop();
});

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('base64');

async function put(
  SnapshotId: string,
  BlockIndex: number,
  data: Buffer,
  Checksum = sha256(data),
): Promise<void> {
  await ebs.send(
    new EBS.PutSnapshotBlockCommand({
      SnapshotId,
      BlockIndex,
      BlockData: data,
      DataLength: data.length,
      Checksum,
      ChecksumAlgorithm: 'SHA256',
    }),
  );
}

async function completedSnapshot(
  blocks: Record<number, Buffer>,
  more: Partial<EBS.StartSnapshotRequest> = {},
): Promise<string> {
  const { SnapshotId = '' } = await ebs.send(new EBS.StartSnapshotCommand({ VolumeSize: 1, ...more }));
  for (const [index, data] of Object.entries(blocks)) await put(SnapshotId, Number(index), data);
  const linear = createHash('sha256');
  for (const index of Object.keys(blocks)
    .map(Number)
    .sort((a, b) => a - b))
    linear.update(Buffer.from(sha256(blocks[index]!), 'base64'));
  await ebs.send(
    new EBS.CompleteSnapshotCommand({
      SnapshotId,
      ChangedBlocksCount: Object.keys(blocks).length,
      Checksum: linear.digest('base64'),
      ChecksumAlgorithm: 'SHA256',
      ChecksumAggregationMethod: 'LINEAR',
    }),
  );
  await snapshotState(SnapshotId, 'completed');
  return SnapshotId;
}

const snapshotState = (id: string, wanted: string) =>
  eventually(
    async () =>
      (await ec2.send(new EC2.DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots?.[0]?.State,
    (state) => state === wanted,
  );
const volumeState = (id: string, wanted: string) =>
  eventually(
    async () => (await ec2.send(new EC2.DescribeVolumesCommand({ VolumeIds: [id] }))).Volumes?.[0]?.State,
    (state) => state === wanted,
  );
const describe1 = async (id: string) =>
  (await ec2.send(new EC2.DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0];
const instanceState = (id: string, wanted: string) =>
  eventually(
    async () => (await describe1(id))?.State?.Name as string,
    (state) => state === wanted,
  );

/** Blocks of a snapshot, as digests: comparing half a megabyte byte by byte is slow in jest. */
async function readSnapshot(SnapshotId: string): Promise<Record<number, string>> {
  const blocks: Record<number, string> = {};
  const { Blocks = [] } = await ebs.send(new EBS.ListSnapshotBlocksCommand({ SnapshotId }));
  for (const { BlockIndex = -1, BlockToken } of Blocks) {
    const block = await ebs.send(new EBS.GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }));
    const data = Buffer.from((await block.BlockData?.transformToByteArray()) ?? []);
    expect(block.Checksum).toBe(sha256(data));
    blocks[BlockIndex] = sha256(data);
  }
  return blocks;
}

function readVolume(volumeId: string, index: number): Buffer {
  const file = openSync(join(aws.config.directory, 'storage/volumes', `${volumeId}.raw`), 'r');
  const block = Buffer.alloc(BLOCK_SIZE);
  readSync(file, block, 0, BLOCK_SIZE, index * BLOCK_SIZE);
  closeSync(file);
  return block;
}

function writeVolume(volumeId: string, index: number, block: Buffer): void {
  const file = openSync(join(aws.config.directory, 'storage/volumes', `${volumeId}.raw`), 'r+');
  writeSync(file, block, 0, BLOCK_SIZE, index * BLOCK_SIZE);
  closeSync(file);
}

describe('EBS direct', () => {
  const a = randomBytes(BLOCK_SIZE);
  const b = randomBytes(BLOCK_SIZE);
  const c = randomBytes(BLOCK_SIZE);

  it('keeps what is written, and a child shares its parent’s blocks, also when the parent is gone', async () => {
    const parent = await completedSnapshot({ 0: a, 7: b });
    expect(await readSnapshot(parent)).toEqual({
      0: sha256(a),
      7: sha256(b),
    });

    const zero = Buffer.alloc(BLOCK_SIZE);
    const child = await completedSnapshot({ 7: zero, 9: c }, { ParentSnapshotId: parent });
    expect(await readSnapshot(child)).toEqual({
      0: sha256(a),
      7: sha256(zero),
      9: sha256(c),
    });

    const { ChangedBlocks = [] } = await ebs.send(
      new EBS.ListChangedBlocksCommand({ FirstSnapshotId: parent, SecondSnapshotId: child }),
    );
    expect(
      ChangedBlocks.map((block) => [
        block.BlockIndex,
        block.FirstBlockToken !== undefined,
        block.SecondBlockToken !== undefined,
      ]),
    ).toEqual([
      [7, true, true],
      [9, false, true],
    ]);

    const layer = (id: string): string => join(aws.config.directory, 'storage/layers', `${id}.data`);
    await ec2.send(new EC2.DeleteSnapshotCommand({ SnapshotId: parent }));
    expect((await failure(ebs.send(new EBS.ListSnapshotBlocksCommand({ SnapshotId: parent })))).name).toBe(
      'ResourceNotFoundException',
    );
    expect((await readSnapshot(child))[0]).toBe(sha256(a));
    await eventually(
      async () => existsSync(layer(parent)),
      (there) => there,
    );
    await ec2.send(new EC2.DeleteSnapshotCommand({ SnapshotId: child }));
    await eventually(
      async () => existsSync(layer(parent)) || existsSync(layer(child)),
      (there) => !there,
    );
  });

  it('refuses what AWS refuses', async () => {
    const { SnapshotId = '' } = await ebs.send(new EBS.StartSnapshotCommand({ VolumeSize: 1 }));
    expect(await failure(put(SnapshotId, 0, a, sha256(b)))).toMatchObject({
      name: 'ValidationException',
      status: 400,
    });
    expect((await failure(put(SnapshotId, 2048, a))).name).toBe('ValidationException');
    expect((await failure(put('snap-00000000000000000', 0, a))).name).toBe('ResourceNotFoundException');
    expect((await failure(put(SnapshotId, 0, a.subarray(0, 1000)))).name).toBe('ValidationException');
    await put(SnapshotId, 0, a);
    expect(
      (await failure(ebs.send(new EBS.CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 2 })))).name,
    ).toBe('ValidationException');
    const wrong = {
      Checksum: ZERO_DIGEST.toString('base64'),
      ChecksumAlgorithm: 'SHA256',
      ChecksumAggregationMethod: 'LINEAR',
    } as const;
    expect(
      (
        await failure(
          ebs.send(new EBS.CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 1, ...wrong })),
        )
      ).name,
    ).toBe('ValidationException');
    expect((await failure(ebs.send(new EBS.ListSnapshotBlocksCommand({ SnapshotId })))).name).toBe(
      'ValidationException',
    );
    expect((await failure(ebs.send(new EBS.StartSnapshotCommand({ VolumeSize: 1, Timeout: 5 })))).name).toBe(
      'ValidationException',
    );
    expect(
      (
        await failure(
          ebs.send(
            new EBS.StartSnapshotCommand({ VolumeSize: 1, ParentSnapshotId: SnapshotId, Encrypted: true }),
          ),
        )
      ).name,
    ).toBe('ValidationException');
    expect(
      (
        await failure(
          ec2.send(new EC2.CreateVolumeCommand({ SnapshotId, AvailabilityZone: 'eu-central-1a' })),
        )
      ).name,
    ).toBe('IncorrectState');
    await ebs.send(new EBS.CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 1 }));
    expect((await failure(put(SnapshotId, 1, b))).name).toBe('ValidationException');
  });

  it('answers a client token once, and refuses it with other parameters', async () => {
    const request = { VolumeSize: 1, ClientToken: 'f'.repeat(64), Tags: [{ Key: 'k', Value: 'v' }] };
    const first = await ebs.send(new EBS.StartSnapshotCommand(request));
    expect((await ebs.send(new EBS.StartSnapshotCommand(request))).SnapshotId).toBe(first.SnapshotId);
    expect((await failure(ebs.send(new EBS.StartSnapshotCommand({ ...request, VolumeSize: 2 })))).name).toBe(
      'ConflictException',
    );
  });

  it('pages lists', async () => {
    const blocks = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [index * 2, a]));
    const id = await completedSnapshot(blocks);
    const seen: number[] = [];
    for await (const page of EBS.paginateListSnapshotBlocks(
      { client: ebs, pageSize: 100 },
      { SnapshotId: id, StartingBlockIndex: 3 },
    ))
      seen.push(...(page.Blocks ?? []).map((block) => block.BlockIndex ?? -1));
    expect(seen).toEqual(Array.from({ length: 118 }, (_, index) => index * 2 + 4));
    expect(
      (await failure(ebs.send(new EBS.ListSnapshotBlocksCommand({ SnapshotId: id, NextToken: 'forged' }))))
        .name,
    ).toBe('ValidationException');
  });

  it('survives a restart in the middle of a copy', async () => {
    const { SnapshotId = '' } = await ebs.send(new EBS.StartSnapshotCommand({ VolumeSize: 1 }));
    await put(SnapshotId, 3, a);
    await aws.restart();
    await put(SnapshotId, 4, b);
    await ebs.send(new EBS.CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 2 }));
    await aws.restart();
    await snapshotState(SnapshotId, 'completed');
    expect(await readSnapshot(SnapshotId)).toEqual({
      3: sha256(a),
      4: sha256(b),
    });
  });
});

describe('volumes', () => {
  const a = randomBytes(BLOCK_SIZE);
  const b = randomBytes(BLOCK_SIZE);

  it('have the snapshot’s bytes; their snapshots hold only what changed', async () => {
    const snapshot = await completedSnapshot({ 1: a, 2: a });
    const request = {
      SnapshotId: snapshot,
      AvailabilityZone: 'eu-central-1a',
      ClientToken: 'volume',
      VolumeType: 'gp3',
      Size: 2,
    } as const;
    const { VolumeId = '', State } = await ec2.send(new EC2.CreateVolumeCommand(request));
    expect(State).toBe('creating');
    expect((await ec2.send(new EC2.CreateVolumeCommand(request))).VolumeId).toBe(VolumeId);
    expect((await failure(ec2.send(new EC2.CreateVolumeCommand({ ...request, Size: 3 })))).name).toBe(
      'IdempotentParameterMismatch',
    );
    await volumeState(VolumeId, 'available');
    expect([0, 1, 2].map((index) => sha256(readVolume(VolumeId, index)))).toEqual([
      sha256(Buffer.alloc(BLOCK_SIZE)),
      sha256(a),
      sha256(a),
    ]);

    writeVolume(VolumeId, 2, b);
    writeVolume(VolumeId, 1, Buffer.alloc(BLOCK_SIZE));
    const first = await ec2.send(new EC2.CreateSnapshotCommand({ VolumeId }));
    await snapshotState(first.SnapshotId ?? '', 'completed');
    expect(await readSnapshot(first.SnapshotId ?? '')).toEqual({
      1: sha256(Buffer.alloc(BLOCK_SIZE)),
      2: sha256(b),
    });

    writeVolume(VolumeId, 4095, a);
    const second = await ec2.send(new EC2.CreateSnapshotCommand({ VolumeId }));
    await snapshotState(second.SnapshotId ?? '', 'completed');
    const changed = await ebs.send(
      new EBS.ListChangedBlocksCommand({
        FirstSnapshotId: first.SnapshotId,
        SecondSnapshotId: second.SnapshotId,
      }),
    );
    expect(changed.ChangedBlocks?.map((block) => block.BlockIndex)).toEqual([4095]);
    const other = await completedSnapshot({ 0: a });
    expect(
      (
        await failure(
          ebs.send(
            new EBS.ListChangedBlocksCommand({ FirstSnapshotId: other, SecondSnapshotId: second.SnapshotId }),
          ),
        )
      ).name,
    ).toBe('ValidationException');
  });

  it('appear on the proxy while they are attached to it', async () => {
    const { VolumeId = '' } = await ec2.send(
      new EC2.CreateVolumeCommand({ Size: 1, AvailabilityZone: 'eu-central-1a' }),
    );
    expect(
      (
        await failure(
          ec2.send(
            new EC2.AttachVolumeCommand({ VolumeId, InstanceId: PROXY_INSTANCE_ID, Device: '/dev/sdf' }),
          ),
        )
      ).name,
    ).toBe('IncorrectState');
    await volumeState(VolumeId, 'available');
    const attached = await ec2.send(
      new EC2.AttachVolumeCommand({ VolumeId, InstanceId: PROXY_INSTANCE_ID, Device: '/dev/sdf' }),
    );
    expect(attached.State).toBe('attaching');
    await eventually(
      async () =>
        (await ec2.send(new EC2.DescribeVolumesCommand({ VolumeIds: [VolumeId] }))).Volumes?.[0]
          ?.Attachments?.[0]?.State,
      (state) => state === 'attached',
    );
    const device = join(
      aws.config.deviceDirectory,
      `nvme-Amazon_Elastic_Block_Store_${VolumeId.replace('-', '')}`,
    );
    expect(lstatSync(device).isSymbolicLink()).toBe(true);
    expect((await failure(ec2.send(new EC2.DeleteVolumeCommand({ VolumeId })))).name).toBe('VolumeInUse');
    expect(
      (
        await failure(
          ec2.send(
            new EC2.AttachVolumeCommand({ VolumeId, InstanceId: PROXY_INSTANCE_ID, Device: '/dev/sdg' }),
          ),
        )
      ).name,
    ).toBe('VolumeInUse');
    await ec2.send(new EC2.DetachVolumeCommand({ VolumeId }));
    await volumeState(VolumeId, 'available');
    expect(existsSync(device)).toBe(false);
    await ec2.send(new EC2.DeleteVolumeCommand({ VolumeId }));
    expect((await failure(ec2.send(new EC2.DescribeVolumesCommand({ VolumeIds: [VolumeId] })))).name).toBe(
      'InvalidVolume.NotFound',
    );
  });

  it('refuse other zones, sizes and states', async () => {
    expect(
      (await failure(ec2.send(new EC2.CreateVolumeCommand({ Size: 1, AvailabilityZone: 'eu-central-1x' }))))
        .name,
    ).toBe('InvalidZone.NotFound');
    expect(
      (await failure(ec2.send(new EC2.CreateVolumeCommand({ AvailabilityZone: 'eu-central-1a' })))).name,
    ).toBe('MissingParameter');
    expect(
      (
        await failure(
          ec2.send(
            new EC2.CreateVolumeCommand({
              SnapshotId: 'snap-0123456789abcdef0',
              AvailabilityZone: 'eu-central-1a',
            }),
          ),
        )
      ).name,
    ).toBe('InvalidSnapshot.NotFound');
    const { VolumeId = '' } = await ec2.send(
      new EC2.CreateVolumeCommand({ Size: 1, AvailabilityZone: 'eu-central-1b' }),
    );
    await volumeState(VolumeId, 'available');
    expect(
      (
        await failure(
          ec2.send(
            new EC2.AttachVolumeCommand({ VolumeId, InstanceId: PROXY_INSTANCE_ID, Device: '/dev/sdf' }),
          ),
        )
      ).name,
    ).toBe('InvalidVolume.ZoneMismatch');
  });
});

describe('instances', () => {
  let imageId = '';

  beforeAll(async () => {
    const snapshot = await completedSnapshot({});
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
    await instanceState(id, 'running');
    const running = await describe1(id);
    expect(running?.PublicIpAddress).toMatch(/^127\.99\.20\.\d+$/);
    const root = running?.BlockDeviceMappings?.[0]?.Ebs?.VolumeId ?? '';
    expect((await failure(ec2.send(new EC2.DetachVolumeCommand({ VolumeId: root })))).name).toBe(
      'OperationNotPermitted',
    );

    await ec2.send(new EC2.StopInstancesCommand({ InstanceIds: [id], Force: true, SkipOsShutdown: true }));
    await instanceState(id, 'stopped');
    expect((await describe1(id))?.PublicIpAddress).toBeUndefined();
    await ec2.send(new EC2.DetachVolumeCommand({ VolumeId: root }));
    await volumeState(root, 'available');
    expect((await failure(ec2.send(new EC2.StartInstancesCommand({ InstanceIds: [id] })))).name).toBe(
      'IncorrectInstanceState',
    );
    await ec2.send(new EC2.DeleteVolumeCommand({ VolumeId: root }));

    const volumes = [];
    for (const device of ['/dev/xvda', '/dev/sdb']) {
      const { VolumeId = '' } = await ec2.send(
        new EC2.CreateVolumeCommand({ Size: 1, AvailabilityZone: 'eu-central-1a' }),
      );
      await volumeState(VolumeId, 'available');
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
    await instanceState(id, 'running');
    const again = await describe1(id);
    expect(again?.PublicIpAddress).toMatch(/^127\.99\.20\./);
    expect(again?.PublicIpAddress).not.toBe(running?.PublicIpAddress);
    expect(again?.PrivateIpAddress).toBe(running?.PrivateIpAddress);

    await aws.restart();
    await instanceState(id, 'running');
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
    await instanceState(id, 'terminated');
    expect(
      (await failure(ec2.send(new EC2.DescribeVolumesCommand({ VolumeIds: [volumes[0] ?? ''] })))).name,
    ).toBe('InvalidVolume.NotFound');
    await volumeState(volumes[1] ?? '', 'available');
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
    for (const id of ids) await instanceState(id, 'terminated');
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
