import {
  DeleteSnapshotCommand,
  EC2ServiceException,
  type EC2Client,
  paginateDescribeSnapshots,
  type Snapshot,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { pollUntil } from '../polling';
import { tagFilters, type TagValues } from './tags';

/** A snapshot as EC2 describes it, with what every one of them has. */
export type DescribedSnapshot = Snapshot & { SnapshotId: string };

/**
 * This account's snapshots that carry all of the tags. Snapshots that others share are left out: their tags are
 * written by whoever shares them.
 */
export async function findSnapshots(ec2: EC2Client, tags: Partial<TagValues>): Promise<DescribedSnapshot[]> {
  return list(ec2, { Filters: tagFilters(tags) });
}

/** Snapshots by id. @throws EC2ServiceException InvalidSnapshot.NotFound where one is missing (or not visible yet) */
export async function describeSnapshots(ec2: EC2Client, ids: string[]): Promise<DescribedSnapshot[]> {
  return ids.length === 0 ? [] : list(ec2, { SnapshotIds: ids });
}

async function list(
  ec2: EC2Client,
  input: { Filters?: { Name: string; Values: string[] }[]; SnapshotIds?: string[] },
): Promise<DescribedSnapshot[]> {
  const found: DescribedSnapshot[] = [];
  // MaxResults and SnapshotIds exclude each other, and only a call with MaxResults is paginated.
  const pageSize = input.SnapshotIds === undefined ? 1000 : undefined;
  for await (const page of paginateDescribeSnapshots(
    { client: ec2, pageSize },
    { ...input, OwnerIds: ['self'] },
  ))
    for (const snapshot of page.Snapshots ?? [])
      if (snapshot.SnapshotId !== undefined) found.push({ ...snapshot, SnapshotId: snapshot.SnapshotId });
  return found;
}

/**
 * Waits until all of the snapshots are completed. Heartbeats.
 * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given one up
 */
export async function untilCompleted(
  ec2: EC2Client,
  ids: string[],
  pollSeconds: number,
): Promise<DescribedSnapshot[]> {
  return pollUntil(async () => {
    const snapshots = await describeSnapshots(ec2, ids);
    const failed = snapshots.find(({ State }) => State === 'error');
    if (failed !== undefined)
      throw ApplicationFailure.create({
        type: 'SnapshotFailed',
        message: `AWS gave up the snapshot ${failed.SnapshotId}: ${failed.StateMessage ?? 'it does not say why'}.`,
      });
    const done = snapshots.length === ids.length && snapshots.every(({ State }) => State === 'completed');
    return done ? snapshots : undefined;
  }, pollSeconds);
}

/** Deletes snapshots one after the other (the API takes one a call); those that are gone already are no error. */
export async function deleteSnapshots(ec2: EC2Client, ids: string[]): Promise<string[]> {
  for (const SnapshotId of ids) {
    try {
      await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
    } catch (error) {
      if (!(error instanceof EC2ServiceException) || error.name !== 'InvalidSnapshot.NotFound') throw error;
    }
  }
  return ids;
}

/**
 * Deletes every snapshot that carries all of the tags, and looks again until none is listed. It takes two empty looks
 * one after the other: EC2 is eventually consistent, and a snapshot whose creation had an unknown outcome shows late.
 */
export async function removeSnapshots(
  ec2: EC2Client,
  tags: Partial<TagValues>,
  pollSeconds: number,
): Promise<string[]> {
  const deleted = new Set<string>();
  let emptyLooks = 0;
  await pollUntil(async () => {
    const ids = (await findSnapshots(ec2, tags)).map(({ SnapshotId }) => SnapshotId);
    emptyLooks = ids.length === 0 ? emptyLooks + 1 : 0;
    for (const id of await deleteSnapshots(ec2, ids)) deleted.add(id);
    return emptyLooks === 2 ? true : undefined;
  }, pollSeconds);
  return [...deleted].sort();
}
