import { type EBSClient, GetSnapshotBlockCommand, paginateListSnapshotBlocks } from '@aws-sdk/client-ebs';
import { DescribeSnapshotsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { BLOCK_SIZE } from '../../../blocks/port';
import { type DiskConfiguration } from '../../../hypervisor/port';

/** Blocks that one ListSnapshotBlocks call lists at most. EBS direct API Reference: 100 to 10,000. */
const PAGE_SIZE = 10_000;

/**
 * EBS volumes are whole GiB, and what lies beyond the disk's exact size was zero when the volume was made. Somebody who
 * has grown a file system or partition on EC2 has data there, which the disk at the primary site has no room for.
 * @throws ApplicationFailure DataBeyondDisk, non-retryable
 */
export async function checkNothingBeyond(
  ec2: EC2Client,
  ebs: EBSClient,
  snapshotId: string,
  disk: DiskConfiguration,
): Promise<void> {
  const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }));
  const volumeBytes = (Snapshots?.[0]?.VolumeSize ?? 0) * 2 ** 30;
  if (volumeBytes < disk.sizeBytes)
    throw ApplicationFailure.nonRetryable(
      `The snapshot ${snapshotId} is smaller than the disk ${disk.key} (${disk.sizeBytes} bytes).`,
      'DataBeyondDisk',
    );
  // Blocks beyond the volume cannot be asked for.
  if (volumeBytes === disk.sizeBytes) return;

  const lastBlock = Math.floor(disk.sizeBytes / BLOCK_SIZE);
  const pages = paginateListSnapshotBlocks(
    { client: ebs, pageSize: PAGE_SIZE },
    { SnapshotId: snapshotId, StartingBlockIndex: lastBlock },
  );
  for await (const { Blocks } of pages)
    for (const { BlockIndex, BlockToken } of Blocks ?? []) {
      if (BlockIndex === undefined || BlockIndex < lastBlock) continue;
      const bytes = await readBlock(ebs, snapshotId, BlockIndex, BlockToken);
      const beyond = BlockIndex === lastBlock ? disk.sizeBytes % BLOCK_SIZE : 0;
      const at = bytes.findIndex((byte, index) => index >= beyond && byte !== 0);
      if (at < 0) continue;
      const offset = BlockIndex * BLOCK_SIZE + at;
      throw ApplicationFailure.nonRetryable(
        `The disk ${disk.key} has ${disk.sizeBytes} bytes at the primary site, and its volume holds data beyond that ` +
          `(at byte ${offset}; snapshot ${snapshotId}). Was a partition or file system grown on EC2? ` +
          'Shrink it, and fill what it leaves with zeros.',
        'DataBeyondDisk',
      );
    }
}

async function readBlock(
  ebs: EBSClient,
  snapshotId: string,
  BlockIndex: number,
  BlockToken: string | undefined,
): Promise<Uint8Array> {
  const { BlockData } = await ebs.send(
    new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex, BlockToken }),
  );
  const bytes = await BlockData?.transformToByteArray();
  if (bytes?.length !== BLOCK_SIZE)
    throw new Error(`Block ${BlockIndex} of ${snapshotId} came with ${bytes?.length ?? 0} bytes.`);
  return bytes;
}
