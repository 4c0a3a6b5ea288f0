import {
  CompleteSnapshotCommand,
  StartSnapshotCommand,
  ValidationException,
  type EBSClient,
} from '@aws-sdk/client-ebs';
import { DescribeSnapshotsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type Backoff, withBackoff } from '../../../blocks/backoff';
import { EbsBlockClient } from '../../../blocks/ebs/client';
import { ebsSnapshotSink } from '../../../blocks/ebs-sink';
import { BLOCK_SIZE } from '../../../blocks/port';
import { isTransientAwsError } from '../../../blocks/transient';
import { type RepositoryAddress } from '../../../plan/run';
import { readBlocks } from '../../../repository/packs/block-reader';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type CopyResult } from '../../copy-result';
import { beatingProgress, copyDisk, newProgress, type TrackedProgress } from '../../block-copy';
import { hasCode, withFailures } from '../../failures';
import { launchOnce, whileBeating } from '../../heartbeat';
import { clientToken } from '../account/client-token';
import { type RestoreActivities, type RestoreDisk } from './contract';
import { backedUpDisk, linearChecksum, openRestoreMaps, pendingBlocks } from './extents';
import { diskValues, runValues, tagList } from '../account/tags';
import { known } from '../account/volumes';
import { waitFor } from '../account/waiting';

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
type CompletionInput = Parameters<SnapshotCopyActivities['completeSnapshot']>[0];

/**
 * Minutes after the last written block until EBS gives a pending snapshot up (10 to 4320; "StartSnapshot", Timeout).
 * Its default, one hour, is less than a person needs to put a broken proxy right, and a copy given up begins at its
 * first block; days would keep one of the account's 100 pending snapshots for a run that nobody continues.
 */
const TIMEOUT_MINUTES = 6 * 60;
/** Some 20 s in all for CompleteSnapshot, of which an account may make 10 a second. */
const BACKOFF: Backoff = { attempts: 12, baseMs: 100, capMs: 5000 };
/** Longest that EBS may take to complete a snapshot whose blocks are all there. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;
/** Seconds in which a snapshot that refuses to be completed turns out to be completed by an earlier try, if it is. */
const COMPLETED_BEFORE_SECONDS = 60;

/** The direct way of a restore: EBS direct APIs. */
export function createSnapshotCopyActivities(dependencies: SnapshotCopyDependencies): SnapshotCopyActivities {
  const { ebs, objectStore } = dependencies;
  // One for all copies of this process: they share the account's quota, and so one limit.
  const blocks = new EbsBlockClient(ebs);
  return withFailures({
    async startSnapshot({ run, vm, attempt, restore, disk, kmsKey }) {
      const { blockMapSha256 } = await backedUpDisk(
        objectStore(run.repository),
        vm,
        restore.recoveryPoint,
        disk,
      );
      const { SnapshotId } = await ebs.send(
        new StartSnapshotCommand({
          ClientToken: clientToken({ runId: run.runId, vm, disk: disk.key, attempt, call: 'StartSnapshot' }),
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
            role: 'pending-copy',
            diskCount: restore.disks.length,
            recoveryPoint: restore.recoveryPoint,
            takenAt: restore.takenAt,
            blockMap: blockMapSha256,
          }),
        }),
      );
      return { snapshotId: known('StartSnapshot', SnapshotId) };
    },

    copyExtent: (input) => copyExtent(dependencies, blocks, input),

    completeSnapshot: (input) => whileBeating(() => completeSnapshot(dependencies, input)),
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

function parentOf(disk: RestoreDisk): string {
  return `${disk.parentSnapshotId ?? ''} ${disk.parentRecoveryPoint ?? ''}`;
}

function isRefusal(error: unknown): boolean {
  return hasCode(error, 'ValidationException', 'ResourceNotFoundException');
}

async function completeSnapshot(
  dependencies: SnapshotCopyDependencies,
  input: CompletionInput,
): Promise<void> {
  const { ec2, pollSeconds } = dependencies;
  const { snapshotId } = input;
  // An earlier try's completion may have got lost on the way to the Temporal server.
  if ((await snapshotState(ec2, snapshotId)) === 'completed') return;
  let refusal: ValidationException | undefined;
  try {
    // A try after one that saw it accepted has only to wait: asked a second time, EBS refuses.
    await launchOnce('CompleteSnapshot', () => requestCompletion(dependencies, input));
  } catch (error) {
    if (!(error instanceof ValidationException)) throw error;
    // Either what is there is not what was meant, or an earlier try of ours completed it.
    refusal = error;
  }
  const limitSeconds = refusal === undefined ? COMPLETION_LIMIT_SECONDS : COMPLETED_BEFORE_SECONDS;
  try {
    await waitFor(
      `${snapshotId} to be completed`,
      async () => ((await snapshotState(ec2, snapshotId)) === 'completed' ? true : undefined),
      { limitSeconds, pollSeconds },
    );
  } catch (error) {
    if (refusal !== undefined && error instanceof ApplicationFailure && error.type === 'StillWaiting')
      throw snapshotFailed(snapshotId, refusal.message);
    throw error;
  }
}

/** @returns the snapshot's state, as EBS answers with it */
async function requestCompletion(
  { ebs, objectStore }: SnapshotCopyDependencies,
  { run, vm, recoveryPoint, disk, snapshotId }: CompletionInput,
): Promise<string> {
  const maps = await openRestoreMaps(objectStore(run.repository), vm, recoveryPoint, disk);
  const { blocks, checksum: Checksum } = await linearChecksum(maps);
  const command = new CompleteSnapshotCommand({
    SnapshotId: snapshotId,
    ChangedBlocksCount: blocks,
    // Nothing written has no checksum.
    ...(blocks === 0 ? {} : { Checksum, ChecksumAlgorithm: 'SHA256', ChecksumAggregationMethod: 'LINEAR' }),
  });
  const { Status } = await withBackoff(
    BACKOFF,
    Context.current().cancellationSignal,
    isTransientAwsError,
    () => ebs.send(command),
  );
  return Status ?? 'accepted';
}

/**
 * @returns undefined where EC2 does not know the snapshot, which it may not yet
 * @throws ApplicationFailure SnapshotFailed, non-retryable, where EBS gave the snapshot up: a new attempt is needed
 */
async function snapshotState(ec2: EC2Client, snapshotId: string): Promise<string | undefined> {
  try {
    const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }));
    const [snapshot] = Snapshots ?? [];
    if (snapshot?.State === 'error')
      throw snapshotFailed(snapshotId, snapshot.StateMessage ?? 'AWS does not say why');
    return snapshot?.State;
  } catch (error) {
    if (hasCode(error, 'InvalidSnapshot.NotFound')) return undefined;
    throw error;
  }
}

function snapshotFailed(snapshotId: string, reason: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The snapshot ${snapshotId} cannot be completed any more: ${reason.replace(/\.$/, '')}.`,
    'SnapshotFailed',
  );
}
