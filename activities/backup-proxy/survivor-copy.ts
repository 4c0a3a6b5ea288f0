import { type EBSClient } from '@aws-sdk/client-ebs';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { BlockSet } from '../../blocks/block-set';
import { type BlockInTransit } from '../../blocks/copy';
import { listBlocks, type ListedBlock } from '../../blocks/ebs-source';
import { writeAtomically } from '../../blocks/journal';
import { BLOCK_SIZE } from '../../blocks/port';
import { type DiskConfiguration } from '../../hypervisor/port';
import { readIfExists } from '../../host/if-exists';
import { openBlockMap, readManifest } from '../../repository/backups/backups';
import { type BlockMap } from '../../repository/maps/block-map';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { type ObjectStore } from '../../repository/objects/object-store';
import { journalPath, type TrackedProgress } from '../block-copy';
import { hasCode } from '../failures';
import { type SurvivorDisk } from './contract';
import { differingBlocks } from './survivor-blocks';

/** What of a survived disk is copied, once it has been compared. */
export interface Comparison {
  /** Blocks that differ, or may. */
  differing: BlockSet;
  /** Blocks of the snapshot that hold anything. */
  listed: BlockSet;
  /** Why every block that holds anything is fetched; absent where only those that differ are. */
  note?: string;
}

export interface ComparedCopy {
  ebs: EBSClient;
  store: ObjectStore;
  stateDirectory: string;
  /** Of the copy: of one run, one disk and one snapshot. */
  identity: readonly string[];
  vm: string;
  disk: DiskConfiguration;
  snapshotId: string;
  volumeBlocks: number;
  survivor: SurvivorDisk;
  progress: TrackedProgress;
  /** Opens the disk for reading. @returns its path, and what closes it */
  openDisk(): Promise<{ path: string; close(): Promise<void> }>;
}

const recordSchema = z.object({ note: z.string().optional(), differing: z.base64(), listed: z.base64() });

/**
 * Which blocks of a survived disk have to be copied. A try that goes on from another takes what that one found out: the disk has
 * some of the blocks since, and would be told to lack fewer.
 */
export async function compareSurvivor(copy: ComparedCopy): Promise<Comparison> {
  const path = `${journalPath(copy.stateDirectory, 'survivor', copy.identity)}.compared`;
  const known = await readRecord(path, copy.volumeBlocks);
  if (known !== undefined) return known;
  const found = await compare(copy);
  await mkdir(dirname(path), { recursive: true });
  const { differing, listed, note } = found;
  const record: z.infer<typeof recordSchema> = {
    ...(note === undefined ? {} : { note }),
    differing: differing.toBytes().toString('base64'),
    listed: listed.toBytes().toString('base64'),
  };
  await writeAtomically(path, Buffer.from(JSON.stringify(record)));
  return found;
}

async function compare(copy: ComparedCopy): Promise<Comparison> {
  const { ebs, vm, disk, snapshotId, volumeBlocks, progress } = copy;
  const signal = Context.current().cancellationSignal;
  const listed = await setOf(copy, listBlocks(ebs, { snapshotId }, signal));
  const since = await sinceRecoveryPoint(copy, signal);
  const note = typeof since === 'string' ? since : undefined;
  if (note !== undefined) Context.current().log.warn(`${vm}'s disk ${disk.key}: ${note}`);
  progress.totalBlocks = Math.ceil(disk.sizeBytes / BLOCK_SIZE);
  const { path, close } = await copy.openDisk();
  try {
    const differing = await differingBlocks({
      ...{ path, sizeBytes: disk.sizeBytes, volumeBlocks, listed, signal },
      ...(typeof since === 'string' ? {} : { since }),
      onDecided: () => void progress.doneBlocks++,
    });
    return { differing, listed, ...(note === undefined ? {} : { note }) };
  } finally {
    await close();
  }
}

/** The recovery point's block map, and what EC2 has changed since; or why that is not known, a sentence for people. */
async function sinceRecoveryPoint(
  copy: ComparedCopy,
  signal: AbortSignal,
): Promise<{ map: BlockMap; changed: BlockSet } | string> {
  const { ebs, store, vm, disk, snapshotId, survivor } = copy;
  const { recoveryPoint, copySnapshotId } = survivor;
  const all = (why: string): string =>
    `${why}, so every block of the disk ${disk.key} that holds anything was fetched.`;
  if (copySnapshotId === undefined) return all(`There is no DR copy of ${recoveryPoint} any more`);
  const map = await mapOf(store, vm, disk, recoveryPoint);
  if (map === undefined)
    return all(`The repository lacks the block map of ${recoveryPoint}, or it is damaged`);
  try {
    const changes = listBlocks(ebs, { snapshotId, previousSnapshotId: copySnapshotId }, signal);
    return { map, changed: await setOf(copy, changes) };
  } catch (error) {
    // Of another lineage (a volume that was restored otherwise), or deleted meanwhile: EBS answers with these two.
    if (!hasCode(error, 'ValidationException', 'ResourceNotFoundException')) throw error;
    return all(
      `EBS cannot compare the volume with the DR copy ${copySnapshotId} (${(error as Error).message})`,
    );
  }
}

async function mapOf(
  store: ObjectStore,
  vm: string,
  { key, sizeBytes }: DiskConfiguration,
  recoveryPoint: string,
): Promise<BlockMap | undefined> {
  try {
    const manifest = await readManifest(store, vm, recoveryPoint);
    const found = manifest?.disks.find((disk) => disk.key === key && disk.sizeBytes === sizeBytes);
    return found && (await openBlockMap(store, vm, found));
  } catch (error) {
    if (error instanceof DamagedObjectError) return undefined;
    throw error;
  }
}

/** @throws ApplicationFailure DataBeyondDisk, non-retryable, where the volume is larger than the disk's whole GiB */
async function setOf(
  { vm, disk, snapshotId, volumeBlocks }: ComparedCopy,
  listed: AsyncIterable<ListedBlock>,
): Promise<BlockSet> {
  const set = BlockSet.of(volumeBlocks);
  for await (const { index } of listed) {
    if (index >= volumeBlocks) throw beyondDisk(vm, disk, snapshotId, index);
    set.add(index);
  }
  return set;
}

/** A block of the snapshot that no disk of that size can have. */
export function beyondDisk(
  vm: string,
  { key, sizeBytes }: DiskConfiguration,
  snapshotId: string,
  index: number,
): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The snapshot ${snapshotId} lists block ${index}; the disk "${key}" of ${vm} has ${sizeBytes} bytes.`,
    'DataBeyondDisk',
  );
}

async function readRecord(path: string, blocks: number): Promise<Comparison | undefined> {
  const text = await readIfExists(path);
  const record = recordSchema.safeParse(text === undefined ? undefined : parsedOrNothing(text));
  // One that is damaged is made anew, as a copy's journal is.
  if (!record.success) return undefined;
  const { note, ...sets } = record.data;
  const differing = BlockSet.parse(blocks, Buffer.from(sets.differing, 'base64'));
  const listed = BlockSet.parse(blocks, Buffer.from(sets.listed, 'base64'));
  if (differing === undefined || listed === undefined) return undefined;
  return { differing, listed, ...(note === undefined ? {} : { note }) };
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a comparison comes to in numbers; `bytes` are those of the disk that its blocks hold. */
export function countDiffering({ differing, listed }: Comparison, sizeBytes: number) {
  const bytesOf = (index: number): number =>
    Math.max(0, Math.min(BLOCK_SIZE, sizeBytes - index * BLOCK_SIZE));
  const counts = { all: 0, allBytes: 0, fetched: 0, fetchedBytes: 0, data: 0 };
  for (const index of differing.indexes()) {
    counts.all++;
    counts.allBytes += bytesOf(index);
    if (!listed.has(index)) continue;
    counts.fetched++;
    counts.fetchedBytes += bytesOf(index);
  }
  for (const index of listed.indexes()) if (bytesOf(index) > 0) counts.data++;
  return counts;
}

/**
 * The blocks that differ, ascending, each as the snapshot has it: those that it does not list are zeros.
 * @param load what fetches a listed block
 */
export async function* differingInTransit(
  { differing, listed }: Comparison,
  snapshot: AsyncIterable<ListedBlock>,
  isPending: (index: number) => boolean,
  load: (block: ListedBlock) => BlockInTransit['load'],
): AsyncGenerator<BlockInTransit> {
  const inTransit = (block: ListedBlock): BlockInTransit => ({
    index: block.index,
    floor: block.index,
    load: load(block),
  });
  let next = 0;
  for await (const block of snapshot) {
    for (const index of differing.indexes(next, block.index))
      if (!listed.has(index) && isPending(index)) yield inTransit({ index });
    if (differing.has(block.index) && isPending(block.index)) yield inTransit(block);
    next = block.index + 1;
  }
  for (const index of differing.indexes(next))
    if (!listed.has(index) && isPending(index)) yield inTransit({ index });
}
