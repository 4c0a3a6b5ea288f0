import { type EBSClient } from '@aws-sdk/client-ebs';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type BlockInTransit } from '../../blocks/copy';
import { getBlock, listBlocks } from '../../blocks/ebs-source';
import { openFileSink } from '../../blocks/file-sink';
import { BLOCK_SIZE, type BlockSink } from '../../blocks/port';
import { type Hypervisor } from '../../hypervisor/port';
import { beatingProgress, copyDisk, type CopyHeartbeat } from '../block-copy';
import { withFailures } from '../failures';
import { type BackupProxyActivities } from './contract';

export interface FailbackCopyDependencies {
  hypervisor: Hypervisor;
  ebs: EBSClient;
  /** Where the progress of copies outlives the process. */
  stateDirectory: string;
}

type FailbackCopyActivities = Pick<BackupProxyActivities, 'copySnapshotToDisk'>;
type Input = Parameters<FailbackCopyActivities['copySnapshotToDisk']>[0];

/** GetSnapshotBlock calls under way: from another continent, at 100 ms each, still 160 MB/s. */
const CONCURRENCY = 32;
const BLOCKS_PER_GIB = 2 ** 30 / BLOCK_SIZE;

/** The backup proxy's activity that brings blocks home. */
export function createFailbackCopyActivities(dependencies: FailbackCopyDependencies): FailbackCopyActivities {
  return withFailures({
    copySnapshotToDisk: (input) => copySnapshotToDisk(dependencies, input),
  } satisfies FailbackCopyActivities);
}

/**
 * The first pass takes every block that the snapshot lists; what it does not list is zeros, on a disk that this run
 * made new. The second pass overwrites, so blocks that vanished are written as zeros.
 */
async function copySnapshotToDisk(
  { hypervisor, ebs, stateDirectory }: FailbackCopyDependencies,
  { run, vm, disk, snapshotId, previousSnapshotId }: Input,
) {
  const progress: CopyHeartbeat = {
    what: 'failback',
    vm,
    disk: disk.key,
    doneBlocks: 0,
    totalBlocks: 0,
    bytes: 0,
  };
  const snapshot = { snapshotId, previousSnapshotId };
  // EBS sizes are whole GiB, so the snapshot has room for blocks that the disk has none for.
  const targetBlocks = Math.ceil(disk.sizeBytes / 2 ** 30) * BLOCKS_PER_GIB;

  return beatingProgress(progress, async () => {
    const { cancellationSignal } = Context.current();
    const work = await listIndexes(ebs, snapshot, cancellationSignal);
    const last = work.at(-1) ?? 0;
    if (last >= targetBlocks)
      throw ApplicationFailure.nonRetryable(
        `The snapshot ${snapshotId} lists block ${last}; the disk "${disk.key}" of ${vm} has ${disk.sizeBytes} bytes.`,
        'DataBeyondDisk',
      );
    return copyDisk({
      progress,
      stateDirectory,
      identity: [
        'disk',
        run.runId,
        vm,
        disk.key,
        String(disk.sizeBytes),
        snapshotId,
        previousSnapshotId ?? '',
      ],
      targetBlocks,
      work,
      bytesOf: (index) => Math.max(0, Math.min(BLOCK_SIZE, disk.sizeBytes - index * BLOCK_SIZE)),
      openSink: () => openVmDisk(hypervisor, vm, disk.key, disk.sizeBytes),
      durable: 'when flushed',
      concurrency: CONCURRENCY,
      read: (isPending, signal) => readSnapshot(ebs, snapshot, isPending, signal),
    });
  });
}

async function listIndexes(
  ebs: EBSClient,
  snapshot: { snapshotId: string; previousSnapshotId?: string },
  signal: AbortSignal,
): Promise<Uint32Array> {
  const indexes: number[] = [];
  for await (const { index } of listBlocks(ebs, snapshot, signal)) indexes.push(index);
  return Uint32Array.from(indexes);
}

/** Lists a second time instead of keeping the tokens: they take more memory than the blocks under way. */
async function* readSnapshot(
  ebs: EBSClient,
  snapshot: { snapshotId: string; previousSnapshotId?: string },
  isPending: (index: number) => boolean,
  signal: AbortSignal,
): AsyncGenerator<BlockInTransit> {
  for await (const listed of listBlocks(ebs, snapshot, signal))
    if (isPending(listed.index))
      yield { index: listed.index, load: () => getBlock(ebs, snapshot.snapshotId, listed, signal) };
}

async function openVmDisk(
  hypervisor: Hypervisor,
  vm: string,
  key: string,
  sizeBytes: number,
): Promise<BlockSink> {
  const opened = await hypervisor.openDisk(vm, key);
  try {
    if (opened.sizeBytes !== sizeBytes)
      throw ApplicationFailure.nonRetryable(
        `The disk "${key}" of ${vm} has ${opened.sizeBytes} bytes at the primary site and ${sizeBytes} in the plan of ` +
          `the failback.`,
        'DiskSizeMismatch',
      );
    const sink = await openFileSink(opened.path, sizeBytes);
    return {
      ...sink,
      async close() {
        await sink.close();
        await opened.close();
      },
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
