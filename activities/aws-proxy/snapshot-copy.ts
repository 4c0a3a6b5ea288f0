import {
  CompleteSnapshotCommand,
  StartSnapshotCommand,
  ValidationException,
  type EBSClient,
} from '@aws-sdk/client-ebs';
import { DescribeSnapshotsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type Backoff, withBackoff } from '../../blocks/backoff';
import { ebsSnapshotSink } from '../../blocks/ebs-sink';
import { BLOCK_SIZE } from '../../blocks/port';
import { isTransientAwsError } from '../../blocks/transient';
import { type RepositoryAddress } from '../../plan/run';
import { readBlocks } from '../../repository/block-reader';
import { type ObjectStore } from '../../repository/object-store';
import { type CopyResult } from '../backup-proxy/contract';
import { beatingProgress, copyDisk, type CopyHeartbeat } from '../block-copy';
import { hasCode, withFailures } from '../failures';
import { clientToken } from './client-token';
import { type AwsProxyActivities, type RestoreDisk } from './contract';
import { backedUpDisk, pending, restoreWork, type RestoreWork } from './restore-work';
import { diskValues, runValues, tagList } from './tags';
import { known } from './volumes';
import { waitFor } from './waiting';

export interface SnapshotCopyDependencies {
  ec2: EC2Client;
  ebs: EBSClient;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Where the progress of copies outlives the process. */
  stateDirectory: string;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

type SnapshotCopyActivities = Pick<AwsProxyActivities, 'startSnapshot' | 'copyToSnapshot'>;
type CopyInput = Parameters<SnapshotCopyActivities['copyToSnapshot']>[0];

/**
 * Minutes after the last written block until EBS gives a pending snapshot up (10 to 4320; "StartSnapshot", Timeout).
 * Its default, one hour, is less than a person needs to put a broken proxy right, and a copy given up begins at its
 * first block; days would keep one of the account's 100 pending snapshots for a run that nobody continues.
 */
const TIMEOUT_MINUTES = 6 * 60;
/** PutSnapshotBlock calls under way. At 30 ms each, 32 of them reach the 1,000 a second that an account may make. */
const CONCURRENCY = 32;
const BLOCKS_PER_GIB = 2 ** 30 / BLOCK_SIZE;
/** Some 20 s in all for CompleteSnapshot, of which an account may make 10 a second. */
const BACKOFF: Backoff = { attempts: 12, baseMs: 100, capMs: 5000 };
/** Longest that EBS may take to complete a snapshot whose blocks are all there. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;
/** Seconds in which a snapshot that refuses to be completed turns out to be completed by an earlier try, if it is. */
const COMPLETED_BEFORE_SECONDS = 60;

/** The direct way of a restore: EBS direct APIs. */
export function createSnapshotCopyActivities(dependencies: SnapshotCopyDependencies): SnapshotCopyActivities {
  const { ebs, objectStore } = dependencies;
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

    copyToSnapshot: (input) => copyToSnapshot(dependencies, input),
  } satisfies SnapshotCopyActivities);
}

async function copyToSnapshot(
  dependencies: SnapshotCopyDependencies,
  { run, vm, restore, disk, snapshotId }: CopyInput,
): Promise<CopyResult> {
  const { ec2, ebs, stateDirectory } = dependencies;
  const store = dependencies.objectStore(run.repository);
  const progress: CopyHeartbeat = {
    what: 'restore',
    vm,
    disk: disk.key,
    doneBlocks: 0,
    totalBlocks: 0,
    bytes: 0,
  };
  return beatingProgress(progress, async () => {
    // Its completion may have got lost on the way to the Temporal server.
    const completed = (await snapshotState(ec2, snapshotId)) === 'completed';
    const work = await restoreWork(store, vm, restore.recoveryPoint, disk);
    try {
      const result = await copyDisk({
        progress,
        stateDirectory,
        identity: ['snapshot', run.runId, vm, disk.key, snapshotId, work.blockMapSha256, parentOf(disk)],
        targetBlocks: disk.volumeGiB * BLOCKS_PER_GIB,
        work: completed ? new Uint32Array() : work.indexes,
        bytesOf: () => BLOCK_SIZE,
        openSink: (signal) => Promise.resolve(ebsSnapshotSink(ebs, snapshotId, signal)),
        durable: 'at once',
        concurrency: CONCURRENCY,
        read: (isPending, signal) => readBlocks(store, work.map, pending(work.indexes, isPending), signal),
      });
      if (!completed) await complete(dependencies, snapshotId, work);
      return { ...result, blocks: work.indexes.length, bytes: work.indexes.length * BLOCK_SIZE };
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

async function complete(
  { ec2, ebs, pollSeconds }: SnapshotCopyDependencies,
  snapshotId: string,
  work: RestoreWork,
): Promise<void> {
  const command = new CompleteSnapshotCommand({
    SnapshotId: snapshotId,
    ChangedBlocksCount: work.indexes.length,
    // Nothing written has no checksum.
    ...(work.indexes.length === 0
      ? {}
      : { Checksum: work.linearChecksum, ChecksumAlgorithm: 'SHA256', ChecksumAggregationMethod: 'LINEAR' }),
  });
  let refusal: ValidationException | undefined;
  try {
    await withBackoff(BACKOFF, Context.current().cancellationSignal, isTransientAwsError, () =>
      ebs.send(command),
    );
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
