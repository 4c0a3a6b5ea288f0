import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CreateVolumeCommandInput,
  CreateVolumeCommand,
  DescribeVolumesCommand,
  DescribeSnapshotsCommand,
  CreateSnapshotCommand,
} from '@aws-sdk/client-ec2';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { FAULTS_FILE, type FaultRule, STRUCK_FILE } from '../../sandbox/aws/faults/rule';
import { AwsHarness, eventually, failure } from './aws-harness';

const BUCKET = 'lifeboat-shop';

describe('faults by rule', () => {
  let aws: AwsHarness;
  beforeEach(async () => {
    aws = new AwsHarness();
    mkdirSync(aws.config.directory, { recursive: true });
    await aws.start();
  });
  afterEach(async () => {
    await aws.stop();
    jest.restoreAllMocks();
  });

  const setRules = (...rules: FaultRule[]): void =>
    writeFileSync(join(aws.config.directory, FAULTS_FILE), JSON.stringify({ rules }));
  const struck = (): unknown => JSON.parse(readFileSync(join(aws.config.directory, STRUCK_FILE), 'utf8'));
  const volume = (token: string, more: Partial<CreateVolumeCommandInput> = {}) =>
    aws.ec2().send(
      new CreateVolumeCommand({
        AvailabilityZone: 'eu-central-1a',
        Size: 1,
        VolumeType: 'gp3',
        ClientToken: token,
        ...more,
      }),
    );
  const volumes = async () => (await aws.ec2().send(new DescribeVolumesCommand({}))).Volumes ?? [];
  const stateOf = async (id = '') => (await volumes()).find(({ VolumeId }) => VolumeId === id)?.State;

  it('refuses a call as often as the rule says, also over a restart, and no other', async () => {
    setRules({
      name: 'twice',
      operations: ['CreateVolume'],
      times: 2,
      fault: { kind: 'error', code: 'InternalError', status: 500 },
    });
    expect(await failure(volume('a'))).toMatchObject({ name: 'InternalError', status: 500 });
    await aws.restart();
    expect(await failure(volume('a'))).toMatchObject({ name: 'InternalError', status: 500 });
    await volume('a');
    expect(await volumes()).toHaveLength(1);
    expect(struck()).toEqual({ twice: 2 });
  });

  it('loses the answer of a call that took effect; its token makes one of it and its repetition', async () => {
    setRules(
      { name: 'lost', operations: ['CreateVolume'], times: 1, fault: { kind: 'reset', carriedOut: true } },
      {
        name: 'late',
        operations: ['CreateVolume'],
        skip: 1,
        times: 1,
        fault: { kind: 'error', code: 'InternalError', status: 500, carriedOut: true },
      },
    );
    await expect(volume('a')).rejects.toThrow(/ECONNRESET|socket hang up/);
    const [made] = await volumes();
    expect((await failure(volume('a'))).name).toBe('InternalError');
    expect((await volume('a')).VolumeId).toBe(made?.VolumeId);
    expect(await volumes()).toHaveLength(1);
  });

  it('resets before a call takes effect', async () => {
    setRules({ name: 'reset', operations: ['CreateVolume'], fault: { kind: 'reset' } });
    await expect(volume('a')).rejects.toThrow(/ECONNRESET|socket hang up/);
    expect(await volumes()).toEqual([]);
  });

  it('ends with the file, and keeps its rules where a file cannot be understood', async () => {
    setRules({
      name: 'always',
      operations: ['CreateVolume'],
      fault: { kind: 'error', code: 'InternalError' },
    });
    await expect(volume('a')).rejects.toThrow();
    const said = jest.spyOn(console, 'error').mockImplementation(() => {});
    writeFileSync(
      join(aws.config.directory, FAULTS_FILE),
      '{"rules": [{"name": "x", "fault": {"kind": "?"}}]}',
    );
    await expect(volume('a')).rejects.toThrow(/always/);
    expect(said).toHaveBeenCalledTimes(1);
    rmSync(join(aws.config.directory, FAULTS_FILE));
    await volume('a');
  });

  it('strikes a seeded share of the calls, the same for the same seed', async () => {
    const run = async (name: string, seed: number): Promise<boolean[]> => {
      setRules({
        name,
        operations: ['DescribeVolumes'],
        probability: 0.5,
        seed,
        fault: { kind: 'error', code: 'InternalError' },
      });
      const outcomes: boolean[] = [];
      for (let n = 0; n < 24; n++)
        outcomes.push(
          await volumes().then(
            () => true,
            () => false,
          ),
        );
      return outcomes;
    };
    const first = await run('first', 7);
    expect(new Set(first).size).toBe(2);
    expect(await run('again', 7)).toEqual(first);
    expect(await run('other', 8)).not.toEqual(first);
  });

  it('throttles beyond a bucket, in the words of the service', async () => {
    setRules({ name: 'bucket', services: ['ec2'], fault: { kind: 'throttle', perSecond: 0.01, burst: 2 } });
    await volumes();
    await volumes();
    expect(await failure(volumes())).toMatchObject({ name: 'RequestLimitExceeded', status: 503 });
  });

  it('lets what is new not exist yet, by its id and in lists', async () => {
    setRules({ name: 'new', fault: { kind: 'eventual-consistency', seconds: 1 } });
    const { VolumeId = '' } = await volume('a');
    const asked = () => aws.ec2().send(new DescribeVolumesCommand({ VolumeIds: [VolumeId] }));
    expect(await failure(asked())).toMatchObject({ name: 'InvalidVolume.NotFound', status: 400 });
    expect(await volumes()).toEqual([]);
    // A filter is no name: what does not match it is no error.
    const named = [{ Name: 'volume-id', Values: [VolumeId] }];
    expect((await aws.ec2().send(new DescribeVolumesCommand({ Filters: named }))).Volumes).toEqual([]);
    await eventually(
      () =>
        asked().then(
          () => true,
          () => false,
        ),
      (there) => there,
    );
  });

  it('keeps a volume in creating, lets one end in error, and a snapshot', async () => {
    const [good] = [await volume('good')];
    setRules(
      { name: 'stuck', operations: ['CreateVolume'], times: 1, fault: { kind: 'stuck', seconds: 1 } },
      {
        name: 'broken',
        operations: ['CreateVolume', 'CreateSnapshot'],
        skip: 1,
        fault: { kind: 'resource-error' },
      },
    );
    const began = Date.now();
    const stuck = await volume('stuck');
    const broken = await volume('broken');
    await eventually(
      () => stateOf(broken.VolumeId),
      (state) => state === 'error',
    );
    await eventually(
      () => stateOf(stuck.VolumeId),
      (state) => state === 'available',
    );
    expect(Date.now() - began).toBeGreaterThan(1000);
    await eventually(
      () => stateOf(good.VolumeId),
      (state) => state === 'available',
    );
    const { SnapshotId = '' } = await aws.ec2().send(new CreateSnapshotCommand({ VolumeId: good.VolumeId }));
    await eventually(
      async () =>
        (await aws.ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }))).Snapshots?.[0]
          ?.State,
      (state) => state === 'error',
    );
  });

  it('alters or cuts off what S3 answers, and answers late', async () => {
    const content = Buffer.alloc(10_000, 'x');
    await aws.s3().send(new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: content }));
    const get = async (): Promise<Buffer> => {
      const { Body } = await aws.s3().send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
      return Buffer.from(await Body!.transformToByteArray());
    };
    setRules(
      {
        name: 'altered',
        operations: ['GetObject'],
        times: 1,
        fault: { kind: 'damaged-answer', how: 'altered' },
      },
      {
        name: 'short',
        operations: ['GetObject'],
        skip: 1,
        times: 1,
        fault: { kind: 'damaged-answer', how: 'short' },
      },
      {
        name: 'slow',
        operations: ['GetObject'],
        skip: 2,
        times: 1,
        fault: { kind: 'slow', milliseconds: 300 },
      },
    );
    // The SDK compares the bytes with the CRC32 that they were stored with.
    await expect(get()).rejects.toThrow(/Checksum mismatch/);
    await expect(get()).rejects.toThrow();
    const began = performance.now();
    expect((await get()).equals(content)).toBe(true);
    expect(performance.now() - began).toBeGreaterThanOrEqual(290);
  });
});
