import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as EBS from '@aws-sdk/client-ebs';
import * as EC2 from '@aws-sdk/client-ec2';
import { BLOCK_SIZE } from '../../sandbox/aws/storage/block';
import { type AwsHarness, eventually } from './aws-harness';

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('base64');

/** What tests do with the snapshots, volumes and instances of an endpoint that has been started. */
export function awsDisks(aws: AwsHarness) {
  const ec2 = aws.ec2();
  const ebs = aws.ebs();

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
  const describeInstance = async (id: string) =>
    (await ec2.send(new EC2.DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]
      ?.Instances?.[0];
  const instanceState = (id: string, wanted: string) =>
    eventually(
      async () => (await describeInstance(id))?.State?.Name as string,
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

  return {
    ec2,
    ebs,
    put,
    completedSnapshot,
    snapshotState,
    volumeState,
    describeInstance,
    instanceState,
    readSnapshot,
    readVolume,
    writeVolume,
    close(): void {
      ec2.destroy();
      ebs.destroy();
    },
  };
}
