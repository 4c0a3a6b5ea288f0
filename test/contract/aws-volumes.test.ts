import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import * as EBS from '@aws-sdk/client-ebs';
import * as EC2 from '@aws-sdk/client-ec2';
import { PROXY_INSTANCE_ID } from '../../sandbox/aws/fixtures';
import { BLOCK_SIZE } from '../../sandbox/aws/storage/block';
import { awsDisks, sha256 } from './aws-disks';
import { AwsHarness, eventually, failure } from './aws-harness';

const aws = new AwsHarness();
let disks: ReturnType<typeof awsDisks>;
let ec2: EC2.EC2Client;
let ebs: EBS.EBSClient;

beforeAll(async () => {
  await aws.start();
  disks = awsDisks(aws);
  ({ ec2, ebs } = disks);
});
afterAll(async () => {
  disks.close();
  await aws.stop();
});

describe('volumes', () => {
  const a = randomBytes(BLOCK_SIZE);
  const b = randomBytes(BLOCK_SIZE);

  it('have the snapshot’s bytes; their snapshots hold only what changed', async () => {
    const snapshot = await disks.completedSnapshot({ 1: a, 2: a });
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
    await disks.volumeState(VolumeId, 'available');
    expect([0, 1, 2].map((index) => sha256(disks.readVolume(VolumeId, index)))).toEqual([
      sha256(Buffer.alloc(BLOCK_SIZE)),
      sha256(a),
      sha256(a),
    ]);

    disks.writeVolume(VolumeId, 2, b);
    disks.writeVolume(VolumeId, 1, Buffer.alloc(BLOCK_SIZE));
    const first = await ec2.send(new EC2.CreateSnapshotCommand({ VolumeId }));
    await disks.snapshotState(first.SnapshotId ?? '', 'completed');
    expect(await disks.readSnapshot(first.SnapshotId ?? '')).toEqual({
      1: sha256(Buffer.alloc(BLOCK_SIZE)),
      2: sha256(b),
    });

    disks.writeVolume(VolumeId, 4095, a);
    const second = await ec2.send(new EC2.CreateSnapshotCommand({ VolumeId }));
    await disks.snapshotState(second.SnapshotId ?? '', 'completed');
    const changed = await ebs.send(
      new EBS.ListChangedBlocksCommand({
        FirstSnapshotId: first.SnapshotId,
        SecondSnapshotId: second.SnapshotId,
      }),
    );
    expect(changed.ChangedBlocks?.map((block) => block.BlockIndex)).toEqual([4095]);
    const other = await disks.completedSnapshot({ 0: a });
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
    await disks.volumeState(VolumeId, 'available');
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
    await disks.volumeState(VolumeId, 'available');
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
    await disks.volumeState(VolumeId, 'available');
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

  it('have the performance that their type takes', async () => {
    const snapshot = await disks.completedSnapshot({});
    const make = (more: Partial<EC2.CreateVolumeRequest>) =>
      ec2.send(
        new EC2.CreateVolumeCommand({
          AvailabilityZone: 'eu-central-1a',
          VolumeType: 'gp3',
          SnapshotId: snapshot,
          Size: 10,
          ...more,
        }),
      );
    const made = async (more: Partial<EC2.CreateVolumeRequest>) => {
      const { VolumeId = '' } = await make(more);
      const { Volumes } = await ec2.send(new EC2.DescribeVolumesCommand({ VolumeIds: [VolumeId] }));
      return Volumes?.[0];
    };
    expect(await made({})).toMatchObject({ VolumeType: 'gp3', Iops: 3000, Throughput: 125 });
    expect(await made({ Iops: 5000, Throughput: 1250, VolumeInitializationRate: 300 })).toMatchObject({
      ...{ Iops: 5000, Throughput: 1250, VolumeInitializationRate: 300 },
    });
    expect(await made({ VolumeType: 'gp2' })).toMatchObject({ Iops: 100 });
    expect(await made({ VolumeType: 'io2', Iops: 10_000 })).toMatchObject({
      VolumeType: 'io2',
      Iops: 10_000,
    });

    const refusals: [Partial<EC2.CreateVolumeRequest>, string, RegExp][] = [
      [{ Iops: 2999 }, 'InvalidParameterValue', /3000 to 80000/],
      [{ Iops: 5001 }, 'InvalidParameterValue', /Iops to volume size ratio of 500\.1.* maximum is 500/],
      [{ Throughput: 124 }, 'InvalidParameterValue', /125 to 2000/],
      [
        { Throughput: 1000 },
        'InvalidParameterValue',
        /to iops ratio of 0\.333333 is too high; maximum is 0\.25/,
      ],
      [{ VolumeType: 'gp2', Iops: 3000 }, 'InvalidParameterCombination', /iops is not supported for gp2/],
      [
        { VolumeType: 'gp2', Throughput: 125 },
        'InvalidParameterCombination',
        /only be specified for volumeType gp3/,
      ],
      [{ VolumeType: 'io1' }, 'MissingParameter', /iops/],
      [{ VolumeType: 'io1', Iops: 501 }, 'InvalidParameterValue', /maximum is 50$/],
      [{ VolumeType: 'st1' }, 'InvalidParameterValue', /125 to 16384/],
      [{ VolumeInitializationRate: 99 }, 'InvalidParameterValue', /volumeInitializationRate/],
      [
        { SnapshotId: undefined, VolumeInitializationRate: 100 },
        'InvalidParameterCombination',
        /from snapshots/,
      ],
    ];
    for (const [more, name, message] of refusals) {
      const error = await failure(make(more));
      expect([error.name, error.message]).toEqual([name, expect.stringMatching(message)]);
    }
    const image = (Ebs: EC2.EbsBlockDevice) =>
      ec2.send(
        new EC2.RegisterImageCommand({
          ...{ Name: 'performance', Architecture: 'x86_64', VirtualizationType: 'hvm' },
          RootDeviceName: '/dev/xvda',
          BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId: snapshot, ...Ebs } }],
        }),
      );
    expect((await failure(image({ VolumeType: 'gp3', VolumeInitializationRate: 100 }))).name).toBe(
      'InvalidParameterCombination',
    );
    expect((await failure(image({ VolumeType: 'st1', VolumeSize: 125 }))).message).toMatch(/root/);
    const { ImageId = '' } = await image({ VolumeType: 'gp3', Iops: 4000, VolumeSize: 10 });
    const { Images } = await ec2.send(new EC2.DescribeImagesCommand({ ImageIds: [ImageId] }));
    expect(Images?.[0]?.BlockDeviceMappings?.[0]?.Ebs).toMatchObject({ VolumeType: 'gp3', Iops: 4000 });
  });
});
