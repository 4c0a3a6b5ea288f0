import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as EC2 from '@aws-sdk/client-ec2';
import { FAULTS_FILE, type FaultRule } from '../../sandbox/aws/faults/rule';
import {
  LICENSED_BIOS_IMAGE_ID,
  LICENSED_UEFI_IMAGE_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_AVAILABILITY_ZONE,
  PROXY_INSTANCE_ID,
  SECOND_AVAILABILITY_ZONE,
} from '../../sandbox/aws/fixtures';
import { AwsHarness, eventually, failure } from './aws-harness';

const aws = new AwsHarness();
let ec2: EC2.EC2Client;

beforeAll(async () => {
  await aws.start();
  ec2 = aws.ec2();
});
afterAll(async () => {
  ec2.destroy();
  await aws.stop();
});

const setRules = (...rules: FaultRule[]): void =>
  writeFileSync(join(aws.config.directory, FAULTS_FILE), JSON.stringify({ rules }));

async function launched(ImageId = LICENSED_BIOS_IMAGE_ID): Promise<string> {
  const { Instances = [] } = await ec2.send(
    new EC2.RunInstancesCommand({ ImageId, SubnetId: PRODUCTION_SUBNET_ID, MinCount: 1, MaxCount: 1 }),
  );
  const id = Instances[0]?.InstanceId ?? '';
  await inState(id, 'running');
  return id;
}
const instance = async (id: string): Promise<EC2.Instance> => {
  const { Reservations } = await ec2.send(new EC2.DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations?.[0]?.Instances?.[0] ?? {};
};
const inState = (id: string, state: string) =>
  eventually(
    () => instance(id),
    ({ State }) => State?.Name === state,
  );
const rootOf = async (id: string): Promise<string> => {
  const { BlockDeviceMappings = [], RootDeviceName } = await instance(id);
  return BlockDeviceMappings.find(({ DeviceName }) => DeviceName === RootDeviceName)?.Ebs?.VolumeId ?? '';
};
const volumes = async (...ids: string[]): Promise<EC2.Volume[]> =>
  (await ec2.send(new EC2.DescribeVolumesCommand({ Filters: [{ Name: 'volume-id', Values: ids }] })))
    .Volumes ?? [];
async function volume(AvailabilityZone = PROXY_AVAILABILITY_ZONE, Encrypted = false): Promise<string> {
  const { VolumeId = '' } = await ec2.send(
    new EC2.CreateVolumeCommand({ AvailabilityZone, Encrypted, Size: 2, VolumeType: 'gp3' }),
  );
  await eventually(
    () => volumes(VolumeId),
    ([made]) => made?.State === 'available',
  );
  return VolumeId;
}
const request = (InstanceId: string, VolumeId: string, more: object = {}) =>
  ec2.send(
    new EC2.CreateReplaceRootVolumeTaskCommand({
      ...{ InstanceId, VolumeId, DeleteReplacedRootVolume: true },
      ...more,
    }),
  );
const tasks = async (instanceId: string): Promise<EC2.ReplaceRootVolumeTask[]> => {
  const Filters = [{ Name: 'instance-id', Values: [instanceId] }];
  return (
    (await ec2.send(new EC2.DescribeReplaceRootVolumeTasksCommand({ Filters }))).ReplaceRootVolumeTasks ?? []
  );
};
const ended = (id: string) =>
  eventually(
    () => tasks(id),
    ([task]) => task?.CompleteTime !== undefined,
  );

describe('images of vendors', () => {
  it('are everybody’s to look at, say what AWS bills, and are not this account’s', async () => {
    const find = async (input: EC2.DescribeImagesRequest) =>
      (await ec2.send(new EC2.DescribeImagesCommand(input))).Images ?? [];
    const Filters = [{ Name: 'image-id', Values: [LICENSED_BIOS_IMAGE_ID] }];
    expect(await find({ Filters, IncludeDeprecated: true })).toMatchObject([
      {
        ...{ Public: true, ImageOwnerAlias: 'amazon', Platform: 'windows' },
        ...{ PlatformDetails: 'Windows', UsageOperation: 'RunInstances:0002', RootDeviceName: '/dev/sda1' },
      },
    ]);
    expect(await find({ Owners: ['self'] })).toEqual([]);
    const ids = (await find({ Owners: ['amazon'] })).map(({ ImageId }) => ImageId);
    expect(ids).toEqual([LICENSED_BIOS_IMAGE_ID, LICENSED_UEFI_IMAGE_ID]);
    const refused = ec2.send(new EC2.DeregisterImageCommand({ ImageId: LICENSED_BIOS_IMAGE_ID }));
    expect((await failure(refused)).name).toBe('AuthFailure');
  });
});

describe('CreateReplaceRootVolumeTask', () => {
  it('puts a volume in the root’s place while the instance counts as running, and deletes the other', async () => {
    const id = await launched();
    const [before, VolumeId] = [await rootOf(id), await volume()];
    const asked = { ClientToken: 'once' };
    const { ReplaceRootVolumeTask: task } = await request(id, VolumeId, asked);
    expect(task).toMatchObject({ InstanceId: id, TaskState: 'pending', DeleteReplacedRootVolume: true });
    expect((await request(id, VolumeId, asked)).ReplaceRootVolumeTask?.ReplaceRootVolumeTaskId).toBe(
      task?.ReplaceRootVolumeTaskId,
    );
    const [done] = await ended(id);
    expect(done).toMatchObject({
      TaskState: 'succeeded',
      ReplaceRootVolumeTaskId: task?.ReplaceRootVolumeTaskId,
    });
    expect(await instance(id)).toMatchObject({
      State: { Name: 'running' },
      ...{ PlatformDetails: 'Windows', UsageOperation: 'RunInstances:0002', ImageId: LICENSED_BIOS_IMAGE_ID },
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeId, DeleteOnTermination: true } }],
    });
    expect(await volumes(before)).toEqual([]);
    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds: [id] }));
    await inState(id, 'terminated');
    expect(await volumes(VolumeId)).toEqual([]);
  });

  it('keeps the replaced root where nobody asked for its end', async () => {
    const id = await launched();
    const before = await rootOf(id);
    await request(id, await volume(), { DeleteReplacedRootVolume: false });
    await ended(id);
    expect(await volumes(before)).toMatchObject([{ State: 'available', Attachments: [] }]);
  });

  it('refuses what EC2 refuses', async () => {
    const id = await launched();
    const other = await launched();
    const VolumeId = await volume();
    const codes = async (...calls: Promise<unknown>[]) =>
      (await Promise.all(calls.map(failure))).map(({ name }) => name);
    expect(
      await codes(
        request(id, await rootOf(other)),
        request(id, await volume(SECOND_AVAILABILITY_ZONE)),
        request(id, 'vol-0123456789abcdef0'),
        request('i-0123456789abcdef0', VolumeId),
        request(PROXY_INSTANCE_ID, VolumeId),
        request(id, VolumeId, { SnapshotId: 'snap-0123456789abcdef0' }),
        request(id, VolumeId, { VolumeId: undefined }),
        request(id, VolumeId, { DryRun: true }),
        ec2.send(new EC2.DescribeReplaceRootVolumeTasksCommand({ MaxResults: 51 })),
        ec2.send(
          new EC2.DescribeReplaceRootVolumeTasksCommand({ Filters: [{ Name: 'tag:a', Values: ['b'] }] }),
        ),
      ),
    ).toEqual([
      ...[
        'VolumeInUse',
        'InvalidVolume.ZoneMismatch',
        'InvalidVolume.NotFound',
        'InvalidInstanceID.NotFound',
      ],
      ...['UnsupportedOperation', 'UnsupportedOperation', 'UnsupportedOperation', 'DryRunOperation'],
      ...['InvalidParameterValue', 'InvalidParameterValue'],
    ]);
    await ec2.send(new EC2.StopInstancesCommand({ InstanceIds: [id] }));
    await inState(id, 'stopped');
    expect(await codes(request(id, VolumeId))).toEqual(['IncorrectInstanceState']);
    expect(await tasks(id)).toEqual([]);
  });

  it('fails with the root that was there, and the instance runs on', async () => {
    const id = await launched();
    const [before, VolumeId] = [await rootOf(id), await volume()];
    const operations = ['CreateReplaceRootVolumeTask'];
    setRules({ name: 'failing', operations, times: 1, fault: { kind: 'resource-error' } });
    await request(id, VolumeId);
    expect(await ended(id)).toMatchObject([{ TaskState: 'failed' }]);
    expect(await rootOf(id)).toBe(before);
    expect(await instance(id)).toMatchObject({ State: { Name: 'running' } });
    expect(await volumes(VolumeId)).toMatchObject([{ State: 'available' }]);
  });

  it('goes on after the endpoint was started anew, and before an end of the instance', async () => {
    const [kept, doomed] = [await launched(), await launched(LICENSED_UEFI_IMAGE_ID)];
    const VolumeId = await volume();
    await request(kept, VolumeId);
    await request(doomed, await volume());
    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds: [doomed] }));
    await aws.restart();
    expect(await ended(kept)).toMatchObject([{ TaskState: 'succeeded' }]);
    expect(await rootOf(kept)).toBe(VolumeId);
    expect(await instance(kept)).toMatchObject({ State: { Name: 'running' } });
    await inState(doomed, 'terminated');
    expect(await ended(doomed)).toMatchObject([{ InstanceId: doomed }]);
  });
});
