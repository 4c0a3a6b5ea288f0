import { createHash, randomBytes } from 'node:crypto';
import {
  CompleteSnapshotCommand,
  type EBSClient,
  GetSnapshotBlockCommand,
  ListChangedBlocksCommand,
  ListSnapshotBlocksCommand,
  PutSnapshotBlockCommand,
} from '@aws-sdk/client-ebs';
import { BLOCK_SIZE } from '../../../blocks/port';

/** Blocks by their index. */
export type Blocks = ReadonlyMap<number, Buffer>;

export const randomBlock = (): Buffer => randomBytes(BLOCK_SIZE);

const digestOf = (block: Buffer): Buffer => createHash('sha256').update(block).digest();
export const checksumOf = (block: Buffer): string => digestOf(block).toString('base64');

/** SHA-256 over the blocks' own, in the order of their indices (EBS direct API Reference, CompleteSnapshot, LINEAR). */
export function aggregateOf(blocks: Blocks): string {
  const aggregate = createHash('sha256');
  for (const [, block] of [...blocks].sort(([a], [b]) => a - b)) aggregate.update(digestOf(block));
  return aggregate.digest('base64');
}

export const putBlock = (
  SnapshotId: string,
  BlockIndex: number,
  block: Buffer,
  Checksum = checksumOf(block),
) =>
  new PutSnapshotBlockCommand({
    SnapshotId,
    BlockIndex,
    BlockData: block,
    DataLength: block.length,
    Checksum,
    ChecksumAlgorithm: 'SHA256',
  });

/** As a restore completes a snapshot: with the number of the blocks written, and the checksum over them. */
export const complete = (
  SnapshotId: string,
  blocks: Blocks,
  { count = blocks.size, checksum = aggregateOf(blocks) } = {},
) =>
  new CompleteSnapshotCommand({
    SnapshotId,
    ChangedBlocksCount: count,
    Checksum: checksum,
    ChecksumAlgorithm: 'SHA256',
    ChecksumAggregationMethod: 'LINEAR',
  });

export const listBlocks = (SnapshotId: string) => new ListSnapshotBlocksCommand({ SnapshotId });

export const listChanged = (FirstSnapshotId: string, SecondSnapshotId: string) =>
  new ListChangedBlocksCommand({ FirstSnapshotId, SecondSnapshotId });

/** Reads a block, and says whether it is the one that is expected. */
export async function readBlock(
  ebs: EBSClient,
  SnapshotId: string,
  { BlockIndex, BlockToken }: { BlockIndex?: number; BlockToken?: string },
  expected: Buffer | undefined,
) {
  const output = await ebs.send(new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }));
  const bytes = Buffer.from((await output.BlockData?.transformToByteArray()) ?? []);
  return { ...output, same: expected !== undefined && bytes.equals(expected) };
}
