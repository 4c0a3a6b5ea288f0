import { join } from 'node:path';
import * as EC2 from '@aws-sdk/client-ec2';
import { decode } from 'jpeg-js';
import { ensureSegment, removeSegment } from '../../machines/network/segment';
import { PRODUCTION_SUBNET_ID } from '../../sandbox/aws/fixtures';
import { readPpm } from '../../sandbox/aws/ec2/instances/ppm';
import { SEGMENTS } from '../../sandbox/segments';
import { awsDisks } from './aws-disks';
import { AwsHarness, eventually } from './aws-harness';

/** Namespaces and taps need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('an instance that is a machine (needs root)', () => {
  const aws = new AwsHarness();
  const segment = SEGMENTS.find(({ name }) => name === 'prod')!;
  let disks: ReturnType<typeof awsDisks>;
  beforeAll(async () => {
    Object.assign(aws.config, {
      ...{ runner: 'qemu', metadata: false, machineMemoryMiB: 64 },
      network: { id: `s${process.pid}`, runDirectory: join(aws.directory, 'run') },
      times: { ...aws.config.times, statusChecks: 0.2 },
    });
    await ensureSegment(aws.config.network, { ...segment, metadata: false });
    await aws.start();
    disks = awsDisks(aws);
  });
  afterAll(async () => {
    disks?.close();
    await aws.stop();
    await removeSegment(aws.config.network, segment.name);
  });

  it('shows what is on its screen, and is impaired where nothing in it answers', async () => {
    const { ec2 } = disks;
    const SnapshotId = await disks.completedSnapshot({});
    const { ImageId } = await ec2.send(
      new EC2.RegisterImageCommand({
        ...{ Name: 'nothing to boot', Architecture: 'x86_64', VirtualizationType: 'hvm' },
        RootDeviceName: '/dev/xvda',
        BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId } }],
      }),
    );
    const { Instances: [launched] = [] } = await ec2.send(
      new EC2.RunInstancesCommand({
        ...{ ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, SubnetId: PRODUCTION_SUBNET_ID },
      }),
    );
    const InstanceId = launched?.InstanceId ?? '';
    await disks.instanceState(InstanceId, 'running');
    // The firmware's words, some bright pixels on black; the picture is lossy.
    const bright = await eventually(
      async () => {
        const { ImageData = '' } = await ec2.send(
          new EC2.GetConsoleScreenshotCommand({ InstanceId, WakeUp: true }),
        );
        const { width, height, data } = decode(Buffer.from(ImageData, 'base64'));
        expect(data).toHaveLength(width * height * 4);
        let count = 0;
        for (let at = 0; at < data.length; at += 4) if ((data[at] ?? 0) > 100) count += 1;
        return count / (width * height);
      },
      (share) => share > 0.001,
    );
    expect(bright).toBeLessThan(0.5);
    const [status] = await eventually(
      async () =>
        (await ec2.send(new EC2.DescribeInstanceStatusCommand({ InstanceIds: [InstanceId] })))
          .InstanceStatuses ?? [],
      ([one]) => one?.InstanceStatus?.Status !== 'initializing',
    );
    expect(status).toMatchObject({
      SystemStatus: { Status: 'ok', Details: [{ Name: 'reachability', Status: 'passed' }] },
      InstanceStatus: { Status: 'impaired', Details: [{ Name: 'reachability', Status: 'failed' }] },
    });
    await ec2.send(new EC2.TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
    await disks.instanceState(InstanceId, 'terminated');
  }, 60_000);
});

it('reads pictures as QEMU writes them, and nothing else', () => {
  const header = 'P6\n2 1\n255\n';
  const { width, height, data } = readPpm(Buffer.from(`${header}abcdef`));
  expect({ width, height, data: data.toString('latin1') }).toEqual({
    ...{ width: 2, height: 1 },
    data: 'abc\0def\0',
  });
  for (const wrong of ['', 'P5\n2 1\n255\nab', `${header}abcde`, 'P6\n0 1\n255\n', 'P6\n99999 99999\n255\n'])
    expect(() => readPpm(Buffer.from(wrong))).toThrow(/QEMU/);
});
