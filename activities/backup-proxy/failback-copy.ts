import { type EBSClient } from '@aws-sdk/client-ebs';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type BlockInTransit } from '../../blocks/copy';
import { blockClientOf, type EbsBlockClient } from '../../blocks/ebs/client';
import { getBlock, listBlocks, type ListedBlock } from '../../blocks/ebs-source';
import { openFileSink } from '../../blocks/file-sink';
import { BLOCK_SIZE, type BlockSink } from '../../blocks/port';
import { type RateLimit } from '../../blocks/limits/rate-limit';
import { type Hypervisor, type OpenDisk } from '../../hypervisor/port';
import { primaryNameOf, primaryNameText, type PrimaryVm } from '../../plan/primary-vm';
import { type RepositoryAddress } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { beatingProgress, copyDisk, newProgress } from '../block-copy';
import { withFailures } from '../failures';
import { type BackupProxyActivities, type SurvivorDisk } from './contract';
import { type PlanLimits } from './plan-limits';
import { describeOwn } from './primary-site';
import { beyondDisk, compareSurvivor, countDiffering, differingInTransit } from './survivor-copy';

export interface FailbackCopyDependencies {
  hypervisor: Hypervisor;
  ebs: EBSClient;
  /** Has the block maps by which disks that survived are compared. */
  objectStore: (address: RepositoryAddress) => ObjectStore;
  limits: PlanLimits;
  /** Where the progress of copies outlives the process. */
  stateDirectory: string;
}

type FailbackCopyActivities = Pick<BackupProxyActivities, 'copySnapshotToDisk'>;
interface ListedSnapshot {
  snapshotId: string;
  previousSnapshotId?: string;
}
type Input = Omit<Parameters<FailbackCopyActivities['copySnapshotToDisk']>[0], 'survivor'>;

const BLOCKS_PER_GIB = 2 ** 30 / BLOCK_SIZE;

/** The backup proxy's activity that brings blocks home. */
export function createFailbackCopyActivities(dependencies: FailbackCopyDependencies): FailbackCopyActivities {
  const blocks = blockClientOf(dependencies.ebs);
  return withFailures({
    copySnapshotToDisk: ({ survivor, ...input }) =>
      survivor === undefined
        ? copySnapshotToDisk(dependencies, blocks, input)
        : copyToSurvivor(dependencies, blocks, { survivor, ...input }),
  } satisfies FailbackCopyActivities);
}

/**
 * The first pass takes every block that the snapshot lists; what it does not list is zeros, on a disk that this run
 * made new. The second pass overwrites, so blocks that vanished are written as zeros.
 */
async function copySnapshotToDisk(
  { hypervisor, ebs, limits, stateDirectory }: FailbackCopyDependencies,
  blocks: EbsBlockClient,
  { run, disk, snapshotId, previousSnapshotId, limit: settings, ...names }: Input,
) {
  const { vm } = names;
  const progress = newProgress('failback', vm, disk.key);
  const snapshot = { snapshotId, previousSnapshotId };
  const limit = limits.of(run.plan, settings);
  // EBS sizes are whole GiB, so the snapshot has room for blocks that the disk has none for.
  const targetBlocks = Math.ceil(disk.sizeBytes / 2 ** 30) * BLOCKS_PER_GIB;

  return beatingProgress(progress, async () => {
    const { cancellationSignal } = Context.current();
    const listed = await countListed(ebs, snapshot, disk, cancellationSignal);
    if (listed.last >= targetBlocks) throw beyondDisk(vm, disk, snapshotId, listed.last);
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
      range: { from: 0, to: targetBlocks },
      totalBlocks: listed.blocks,
      totalBytes: listed.bytes,
      openSink: () => openVmDisk(hypervisor, names, disk.key, disk.sizeBytes),
      durable: 'when flushed',
      concurrency: blocks.roomForGets,
      read: (isPending, signal) => readSnapshot({ ebs, blocks, limit }, snapshot, isPending, signal),
    });
  });
}

/**
 * The first pass to a disk that survived: only blocks that differ are copied. What the disk holds is not believed, but read. The
 * journal is of this run, and so never believes in blocks of a disk that was given back.
 */
async function copyToSurvivor(
  { hypervisor, ebs, objectStore, limits, stateDirectory }: FailbackCopyDependencies,
  blocks: EbsBlockClient,
  { run, disk, snapshotId, survivor, limit: settings, ...names }: Input & { survivor: SurvivorDisk },
) {
  const { vm } = names;
  const progress = newProgress('failback', vm, disk.key);
  const volumeBlocks = Math.ceil(disk.sizeBytes / 2 ** 30) * BLOCKS_PER_GIB;
  const identity = ['survivor', run.runId, vm, disk.key, String(disk.sizeBytes), snapshotId];
  const limit = limits.of(run.plan, settings);
  return beatingProgress(progress, async () => {
    await describeOwn(hypervisor, run, names);
    const comparison = await compareSurvivor({
      ...{ ebs, store: objectStore(run.repository), stateDirectory, identity, vm, disk, snapshotId },
      ...{ volumeBlocks, survivor, progress },
      openDisk: () => openChecked(hypervisor, names, disk.key, disk.sizeBytes),
    });
    const counts = countDiffering(comparison, disk.sizeBytes);
    const copied = await copyDisk({
      ...{ progress, stateDirectory, identity },
      range: { from: 0, to: volumeBlocks },
      totalBlocks: counts.all,
      totalBytes: counts.allBytes,
      openSink: () => openVmDisk(hypervisor, names, disk.key, disk.sizeBytes),
      durable: 'when flushed',
      concurrency: blocks.roomForGets,
      read: (isPending, signal) =>
        differingInTransit(comparison, listBlocks(ebs, { snapshotId }, signal), isPending, (listed) =>
          loading({ blocks, limit }, snapshotId, listed, signal),
        ),
    });
    return {
      ...copied,
      blocks: counts.fetched,
      bytes: counts.fetchedBytes,
      comparedBlocks: Math.ceil(disk.sizeBytes / BLOCK_SIZE),
      dataBlocks: counts.data,
      zeroedBlocks: counts.all - counts.fetched,
      ...(comparison.note === undefined ? {} : { note: comparison.note }),
    };
  });
}

/** What a snapshot lists, and how much of it the disk has room for: a first look, as no list of a disk is kept. */
async function countListed(
  ebs: EBSClient,
  snapshot: ListedSnapshot,
  { sizeBytes }: { sizeBytes: number },
  signal: AbortSignal,
): Promise<{ blocks: number; bytes: number; last: number }> {
  const listed = { blocks: 0, bytes: 0, last: -1 };
  for await (const { index } of listBlocks(ebs, snapshot, signal)) {
    listed.blocks++;
    listed.bytes += Math.max(0, Math.min(BLOCK_SIZE, sizeBytes - index * BLOCK_SIZE));
    listed.last = index;
  }
  return listed;
}

/** Lists a second time instead of keeping the tokens: they take more memory than the blocks under way. */
async function* readSnapshot(
  { ebs, blocks, limit }: { ebs: EBSClient; blocks: EbsBlockClient; limit?: RateLimit },
  snapshot: ListedSnapshot,
  isPending: (index: number) => boolean,
  signal: AbortSignal,
): AsyncGenerator<BlockInTransit> {
  for await (const listed of listBlocks(ebs, snapshot, signal)) {
    const { index } = listed;
    if (isPending(index))
      yield {
        index,
        floor: index,
        load: loading({ blocks, limit }, snapshot.snapshotId, listed, signal),
      };
  }
}

function loading(
  { blocks, limit }: { blocks: EbsBlockClient; limit?: RateLimit },
  snapshotId: string,
  listed: ListedBlock,
  signal: AbortSignal,
): BlockInTransit['load'] {
  return async (into) => {
    // A block without a token is zeros, and is not fetched.
    if (listed.token !== undefined) await limit?.take(BLOCK_SIZE, signal);
    return getBlock(blocks, snapshotId, listed, into, signal);
  };
}

async function openVmDisk(
  hypervisor: Hypervisor,
  names: PrimaryVm,
  key: string,
  sizeBytes: number,
): Promise<BlockSink> {
  const opened = await openChecked(hypervisor, names, key, sizeBytes);
  try {
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

/** @throws ApplicationFailure DiskSizeMismatch, non-retryable */
async function openChecked(
  hypervisor: Hypervisor,
  names: PrimaryVm,
  key: string,
  sizeBytes: number,
): Promise<OpenDisk> {
  const opened = await hypervisor.openDisk(primaryNameOf(names), key);
  if (opened.sizeBytes === sizeBytes) return opened;
  await opened.close();
  throw ApplicationFailure.nonRetryable(
    `The disk "${key}" of ${primaryNameText(names)} has ${opened.sizeBytes} bytes at the primary site and ${sizeBytes} in the plan of ` +
      `the failback.`,
    'DiskSizeMismatch',
  );
}
