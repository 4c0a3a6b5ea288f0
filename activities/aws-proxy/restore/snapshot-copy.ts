import { StartSnapshotCommand, type EBSClient } from '@aws-sdk/client-ebs';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { blockClientOf, type EbsBlockClient } from '../../../blocks/ebs/client';
import { ebsSnapshotSink } from '../../../blocks/ebs-sink';
import { BLOCK_SIZE } from '../../../blocks/port';
import { type RepositoryAddress } from '../../../plan/run';
import { readBlocks } from '../../../repository/packs/block-reader';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type CopyResult } from '../../copy-result';
import { beatingProgress, copyDisk, newProgress, type TrackedProgress } from '../../block-copy';
import { hasCode, withFailures } from '../../failures';
import { whileBeating } from '../../heartbeat';
import { clientToken } from '../account/client-token';
import { type RestoreActivities, type RestoreDisk } from './contract';
import { backedUpDisk, linearChecksum, openRestoreMaps, pendingBlocks } from './extents';
import { findSnapshot } from '../account/lookup';
import { diskValues, runValues, tagList } from '../account/tags';
import { known } from '../account/volumes';
import { completeSnapshot, snapshotFailed, snapshotState } from './snapshot-completion';

export interface SnapshotCopyDependencies {
  ec2: EC2Client;
  ebs: EBSClient;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Where the progress of copies outlives the process. */
  stateDirectory: string;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

type SnapshotCopyActivities = Pick<RestoreActivities, 'startSnapshot' | 'copyExtent' | 'completeSnapshot'>;
type ExtentInput = Parameters<SnapshotCopyActivities['copyExtent']>[0];

/**
 * Minutes after the last written block until EBS gives a pending snapshot up (10 to 4320; "StartSnapshot", Timeout).
 * Its default, one hour, is less than a person needs to put a broken proxy right, and a copy given up begins at its
 * first block; days would keep one of the account's 100 pending snapshots for a run that nobody continues.
 */
export const TIMEOUT_MINUTES = 6 * 60;

/** The direct way of a restore: EBS direct APIs. */
export function createSnapshotCopyActivities(dependencies: SnapshotCopyDependencies): SnapshotCopyActivities {
  const { ec2, ebs, objectStore } = dependencies;
  const blocks = blockClientOf(ebs);
  return withFailures({
    async startSnapshot({ run, vm, attempt, restore, disk, kmsKey, role = 'pending-copy' }) {
      const { blockMapSha256 } = await backedUpDisk(
        objectStore(run.repository),
        vm,
        restore.recoveryPoint,
        disk,
      );
      const send = () =>
        ebs.send(
          new StartSnapshotCommand({
            ClientToken: clientToken({
              runId: run.runId,
              vm,
              disk: disk.key,
              attempt,
              call: 'StartSnapshot',
            }),
            VolumeSize: disk.volumeGiB,
            Timeout: TIMEOUT_MINUTES,
            Description: `Lifeboat: ${disk.key} of ${vm} at ${restore.takenAt}`,
            // ParentSnapshotId and Encrypted exclude each other: a child is encrypted as its parent is.
            ...(disk.parentSnapshotId !== undefined
              ? { ParentSnapshotId: disk.parentSnapshotId }
              : kmsKey !== undefined
                ? { Encrypted: true, KmsKeyArn: kmsKey }
                : {}),
            Tags: tagList({
              ...runValues(run),
              ...diskValues(disk),
              vm,
              attempt,
              role,
              diskCount: restore.disks.length,
              recoveryPoint: restore.recoveryPoint,
              takenAt: restore.takenAt,
              blockMap: blockMapSha256,
            }),
          }),
        );
      const { SnapshotId } = await (role === 'point-copy' ? unlessParentGone(ec2, disk, send) : send());
      return { snapshotId: known('StartSnapshot', SnapshotId) };
    },

    copyExtent: (input) => copyExtent(dependencies, blocks, input),

    completeSnapshot: ({ run, vm, recoveryPoint, disk, snapshotId }) =>
      whileBeating(() =>
        completeSnapshot(dependencies, snapshotId, async () =>
          linearChecksum(await openRestoreMaps(objectStore(run.repository), vm, recoveryPoint, disk)),
        ),
      ),
  } satisfies SnapshotCopyActivities);
}

async function copyExtent(
  dependencies: SnapshotCopyDependencies,
  blocks: EbsBlockClient,
  { run, vm, recoveryPoint, disk, snapshotId, extent, blocksBefore }: ExtentInput,
): Promise<CopyResult> {
  const { ec2, stateDirectory } = dependencies;
  const store = dependencies.objectStore(run.repository);
  const totals = { totalBlocks: extent.blocks, totalBytes: extent.blocks * BLOCK_SIZE };
  const progress: TrackedProgress = {
    ...newProgress('restore', vm, disk.key),
    extent: { blocksBefore, diskBlocks: disk.blocks },
  };
  return beatingProgress(progress, async () => {
    try {
      // Its completion may have got lost on the way to the Temporal server. Nothing can be written to it any more, and
      // nothing need be: EBS completes only what holds every block.
      if ((await snapshotState(ec2, snapshotId)) === 'completed')
        return { blocks: totals.totalBlocks, bytes: totals.totalBytes, blocksSentAgain: 0, seconds: 0 };
      const maps = await openRestoreMaps(store, vm, recoveryPoint, disk);
      return await copyDisk({
        progress,
        stateDirectory,
        identity: ['snapshot', run.runId, vm, disk.key, snapshotId, maps.blockMapSha256, parentOf(disk)],
        range: extent,
        ...totals,
        openSink: (signal) => Promise.resolve(ebsSnapshotSink(blocks, snapshotId, signal)),
        durable: 'at once',
        concurrency: blocks.roomForPuts,
        // EBS compares every block with the checksum that comes with it, and refuses it where they differ.
        read: (isPending, signal) =>
          readBlocks(store, pendingBlocks(maps, extent, isPending), signal, 'by the target'),
      });
    } catch (error) {
      // What EBS says of a snapshot that it gave up differs from call to call; its state tells. The sink has waited
      // long enough for a new one to be known everywhere.
      if (isRefusal(error) && (await snapshotState(ec2, snapshotId)) === undefined)
        throw snapshotFailed(snapshotId, 'AWS does not know it any more');
      throw error;
    }
  });
}

/** A DR copy that a restore has replaced is gone for good, where a test failover copies beside it. */
async function unlessParentGone<T>(
  ec2: EC2Client,
  { parentSnapshotId: parent }: RestoreDisk,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (parent === undefined || !isRefusal(error) || (await findSnapshot(ec2, parent)) !== undefined)
      throw error;
    throw ApplicationFailure.nonRetryable(
      `The snapshot ${parent} of the DR copy is gone: a restore has replaced it.`,
      'ParentGone',
    );
  }
}

function parentOf(disk: RestoreDisk): string {
  return `${disk.parentSnapshotId ?? ''} ${disk.parentRecoveryPoint ?? ''}`;
}

function isRefusal(error: unknown): boolean {
  return hasCode(error, 'ValidationException', 'ResourceNotFoundException');
}
