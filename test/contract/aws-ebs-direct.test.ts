import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as EBS from '@aws-sdk/client-ebs';
import * as EC2 from '@aws-sdk/client-ec2';
import { BLOCK_SIZE, ZERO_DIGEST } from '../../sandbox/aws/storage/block';
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

describe('EBS direct', () => {
  const a = randomBytes(BLOCK_SIZE);
  const b = randomBytes(BLOCK_SIZE);
  const c = randomBytes(BLOCK_SIZE);

  it('takes a disk of 1 TiB', async () => {
    const last = 2 ** 40 / BLOCK_SIZE - 1;
    const snapshot = await disks.completedSnapshot({ 5: a, [last]: b }, { VolumeSize: 1024 });
    expect(await disks.readSnapshot(snapshot)).toEqual({ 5: sha256(a), [last]: sha256(b) });
  });

  it('keeps what is written, and a child shares its parent’s blocks, also when the parent is gone', async () => {
    const parent = await disks.completedSnapshot({ 0: a, 7: b });
    expect(await disks.readSnapshot(parent)).toEqual({
      0: sha256(a),
      7: sha256(b),
    });

    const zero = Buffer.alloc(BLOCK_SIZE);
    const child = await disks.completedSnapshot({ 7: zero, 9: c }, { ParentSnapshotId: parent });
    expect(await disks.readSnapshot(child)).toEqual({
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
    expect((await disks.readSnapshot(child))[0]).toBe(sha256(a));
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
    expect(await failure(disks.put(SnapshotId, 0, a, sha256(b)))).toMatchObject({
      name: 'ValidationException',
      status: 400,
    });
    expect((await failure(disks.put(SnapshotId, 2048, a))).name).toBe('ValidationException');
    expect((await failure(disks.put('snap-00000000000000000', 0, a))).name).toBe('ResourceNotFoundException');
    expect((await failure(disks.put(SnapshotId, 0, a.subarray(0, 1000)))).name).toBe('ValidationException');
    await disks.put(SnapshotId, 0, a);
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
    expect((await failure(disks.put(SnapshotId, 1, b))).name).toBe('ValidationException');
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
    const id = await disks.completedSnapshot(blocks);
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
    await disks.put(SnapshotId, 3, a);
    await aws.restart();
    await disks.put(SnapshotId, 4, b);
    await ebs.send(new EBS.CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 2 }));
    await aws.restart();
    await disks.snapshotState(SnapshotId, 'completed');
    expect(await disks.readSnapshot(SnapshotId)).toEqual({
      3: sha256(a),
      4: sha256(b),
    });
  });
});
