import { createHash, hash } from 'node:crypto';
import {
  type CompleteSnapshotRequest,
  type CompleteSnapshotResponse,
  type PutSnapshotBlockRequest,
  type PutSnapshotBlockResponse,
  type StartSnapshotRequest,
  type StartSnapshotResponse,
} from '@aws-sdk/client-ebs';
import { type Account, ACCOUNT_ID, now } from '../account';
import { encryptionOf, refusesPlainParents } from '../ec2/encryption';
import { readTags, tagList } from '../ec2/tags';
import { newId } from '../state/ids';
import { type SnapshotRecord } from '../state/records';
import { madeBefore, tokenMark } from '../state/tokens';
import { BLOCK_SIZE, BLOCKS_PER_GIB } from '../storage/block';
import { giveBlockMemory, takeBlockMemory } from '../storage/block-memory';
import { type IncomingBody } from '../wire/body';
import { AwsError } from '../wire/errors';
import { notFound, validation } from './errors';
import { finishSnapshot, isOpen, type LastWrites } from './snapshot-states';

/** Minutes (EBS direct API Reference, StartSnapshot). */
const DEFAULT_TIMEOUT = 60;
const SHORTEST_TIMEOUT = 10;
const LONGEST_TIMEOUT = 4320;

const LARGEST_VOLUME_GIB = 65_536;

/** Pending snapshots an account may have (EBS service quotas). */
const MOST_PENDING = 100;

/** VolumeId of snapshots that come from no volume. */
const NO_VOLUME = 'vol-ffffffff';

function startView(snapshot: SnapshotRecord): StartSnapshotResponse {
  return {
    SnapshotId: snapshot.id,
    OwnerId: ACCOUNT_ID,
    Status: snapshot.state,
    StartTime: new Date(snapshot.startedAt),
    VolumeSize: snapshot.sizeGiB,
    BlockSize: BLOCK_SIZE,
    Description: snapshot.description,
    ParentSnapshotId: snapshot.parentSnapshotId,
    KmsKeyArn: snapshot.kmsKeyId,
    Tags: tagList(snapshot.tags) as StartSnapshotResponse['Tags'],
  };
}

/** The writing half of the EBS direct APIs. */
export function writingHandlers(account: Account, lastWrites: LastWrites) {
  function find(id: string | undefined): SnapshotRecord {
    const snapshot = account.snapshots.get(id ?? '');
    if (snapshot === undefined || snapshot.deletedAt !== undefined)
      throw notFound('SNAPSHOT_NOT_FOUND', `The snapshot '${id ?? ''}' does not exist.`);
    return snapshot;
  }

  return {
    StartSnapshot(input: StartSnapshotRequest): StartSnapshotResponse {
      const mark = tokenMark('StartSnapshot', input.ClientToken, input);
      const [before] = madeBefore(
        account.snapshots,
        mark,
        () =>
          new AwsError(
            'ConflictException',
            'The client token was used before, with different parameters.',
            503,
          ),
      );
      if (before !== undefined) return startView(before);

      const sizeGiB = input.VolumeSize ?? 0;
      if (!Number.isInteger(sizeGiB) || sizeGiB < 1 || sizeGiB > LARGEST_VOLUME_GIB)
        throw validation('INVALID_VOLUME_SIZE', `VolumeSize must be 1 to ${LARGEST_VOLUME_GIB} GiB.`);
      const timeoutMinutes = input.Timeout ?? DEFAULT_TIMEOUT;
      if (
        !Number.isInteger(timeoutMinutes) ||
        timeoutMinutes < SHORTEST_TIMEOUT ||
        timeoutMinutes > LONGEST_TIMEOUT
      )
        throw validation(
          'INVALID_PARAMETER_VALUE',
          `Timeout must be ${SHORTEST_TIMEOUT} to ${LONGEST_TIMEOUT} minutes.`,
        );
      if (input.ParentSnapshotId !== undefined && input.Encrypted !== undefined)
        throw validation(
          'INVALID_PARAMETER_VALUE',
          'Encrypted cannot be specified together with ParentSnapshotId.',
        );
      if (input.KmsKeyArn !== undefined && input.Encrypted !== true && input.ParentSnapshotId === undefined)
        throw validation('INVALID_PARAMETER_VALUE', 'KmsKeyArn needs Encrypted to be true.');
      const parent = input.ParentSnapshotId === undefined ? undefined : find(input.ParentSnapshotId);
      if (parent !== undefined) {
        if (parent.state !== 'completed')
          throw validation(
            'INVALID_DEPENDENCY_REQUEST',
            `The parent snapshot '${parent.id}' is not completed.`,
          );
        if (sizeGiB < parent.sizeGiB)
          throw validation(
            'INVALID_VOLUME_SIZE',
            'VolumeSize must not be smaller than that of the parent snapshot.',
          );
        if (input.KmsKeyArn !== undefined && input.KmsKeyArn !== parent.kmsKeyId)
          throw validation('INVALID_PARAMETER_VALUE', 'KmsKeyArn must be that of the parent snapshot.');
        if (!parent.encrypted && refusesPlainParents(account))
          throw validation(
            'INVALID_PARAMETER_VALUE',
            'The account encrypts by default; the parent snapshot must be encrypted.',
          );
      }
      const pending = account.snapshots
        .all()
        .filter((s) => s.deletedAt === undefined && s.state === 'pending' && s.direct);
      if (pending.length >= MOST_PENDING)
        throw new AwsError('ServiceQuotaExceededException', 'There are too many pending snapshots.', 402, {
          Reason: 'DEPENDENCY_SERVICE_QUOTA_EXCEEDED',
        });
      const tags = readTags(input.Tags);

      const id = newId('snap');
      const startedAt = now();
      lastWrites.set(id, Date.now());
      return startView(
        account.snapshots.put({
          id,
          tags,
          createdAt: startedAt,
          startedAt,
          tokenMark: mark,
          state: 'pending',
          volumeId: NO_VOLUME,
          sizeGiB,
          description: input.Description ?? '',
          ...encryptionOf(account, {
            encrypted: parent?.encrypted ?? input.Encrypted ?? false,
            kmsKeyId: parent?.kmsKeyId ?? input.KmsKeyArn,
          }),
          lineage: parent?.lineage ?? id,
          parentSnapshotId: parent?.id,
          parentMap: parent?.map,
          layer: id,
          direct: { timeoutMinutes, completing: false },
        }),
      );
    },

    async PutSnapshotBlock(
      input: Omit<PutSnapshotBlockRequest, 'BlockData'> & { BlockData?: IncomingBody },
    ): Promise<PutSnapshotBlockResponse> {
      const snapshot = openSnapshot(input.SnapshotId);
      const index = input.BlockIndex ?? -1;
      if (!Number.isInteger(index) || index < 0 || index >= snapshot.sizeGiB * BLOCKS_PER_GIB)
        throw validation('INVALID_PARAMETER_VALUE', `BlockIndex ${index} is beyond the volume size.`);
      if (input.ChecksumAlgorithm !== 'SHA256')
        throw validation('INVALID_PARAMETER_VALUE', 'ChecksumAlgorithm must be SHA256.');
      if (input.DataLength !== BLOCK_SIZE)
        throw validation('INVALID_PARAMETER_VALUE', `DataLength must be ${BLOCK_SIZE}.`);
      const { BlockData, Checksum } = input;
      const block = takeBlockMemory();
      try {
        if ((await BlockData?.collectInto(block)) !== BLOCK_SIZE)
          throw validation('INVALID_BLOCK', `A block must have ${BLOCK_SIZE} bytes.`);
        // The one hash of the block: it is checked, stored, and later compared with.
        const digest = hash('sha256', block, 'buffer');
        if (digest.toString('base64') !== Checksum)
          throw validation('INVALID_BLOCK', 'The checksum does not match the block data.');
        openSnapshot(snapshot.id); // it may have been completed or deleted while the block came in
        lastWrites.set(snapshot.id, Date.now());
        await account.layers.write(snapshot.layer, index, block, digest);
      } finally {
        giveBlockMemory(block);
      }
      return { Checksum, ChecksumAlgorithm: 'SHA256' };
    },

    CompleteSnapshot(input: CompleteSnapshotRequest): CompleteSnapshotResponse {
      const snapshot = find(input.SnapshotId);
      if (snapshot.direct === undefined)
        throw validation(
          'INVALID_SNAPSHOT_ID',
          `The snapshot '${snapshot.id}' was not started by StartSnapshot.`,
        );
      if (snapshot.state === 'error')
        throw validation('WRITE_REQUEST_TIMEOUT', `The snapshot '${snapshot.id}' has timed out.`);
      const written = account.layers.blocks(snapshot.layer);
      // A retry after a lost answer finds the snapshot complete, which is what it asked for.
      if (snapshot.direct.completing) return { Status: snapshot.state };
      if (input.ChangedBlocksCount !== written.length)
        throw validation(
          'INVALID_PARAMETER_VALUE',
          `ChangedBlocksCount is ${input.ChangedBlocksCount}, but ${written.length} blocks were written.`,
        );
      if (input.Checksum !== undefined) checkAggregate(snapshot, written, input);
      account.snapshots.put({ ...snapshot, direct: { ...snapshot.direct, completing: true } });
      lastWrites.delete(snapshot.id);
      finishSnapshot(account, snapshot.id);
      return { Status: 'pending' };
    },
  };

  function openSnapshot(id: string | undefined): SnapshotRecord {
    const snapshot = find(id);
    if (isOpen(snapshot)) return snapshot;
    if (snapshot.state === 'error')
      throw validation('WRITE_REQUEST_TIMEOUT', `The snapshot '${snapshot.id}' has timed out.`);
    throw validation(
      'INVALID_SNAPSHOT_ID',
      `The snapshot '${snapshot.id}' cannot be written: it is complete.`,
    );
  }

  /** LINEAR: the SHA-256 of the blocks' digests in the order of their indices. */
  function checkAggregate(snapshot: SnapshotRecord, written: number[], input: CompleteSnapshotRequest): void {
    if (input.ChecksumAlgorithm !== 'SHA256' || input.ChecksumAggregationMethod !== 'LINEAR')
      throw validation(
        'INVALID_PARAMETER_VALUE',
        'A checksum needs ChecksumAlgorithm SHA256 and ChecksumAggregationMethod LINEAR.',
      );
    const aggregate = createHash('sha256');
    for (const index of written) aggregate.update(account.layers.digest(snapshot.layer, index) ?? '');
    if (aggregate.digest('base64') !== input.Checksum)
      throw validation('INVALID_BLOCK', 'The checksum does not match the blocks that were written.');
  }
}
