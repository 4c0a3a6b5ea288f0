import {
  DeleteSnapshotCommand,
  DescribeSnapshotsCommand,
  type EC2Client,
  paginateDescribeSnapshots,
  type Snapshot,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { tagFilters, type TagValues } from './tags';
import { waitFor } from './waiting';

/** A snapshot as EC2 describes it, with what every one of them has. */
export type DescribedSnapshot = Snapshot & { SnapshotId: string };

/** Longest that a snapshot may take to complete: EC2 says hours for large volumes, the workflow's timeout ends it. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;

/** Results a page: the most that a Describe call gives together with filters. */
const PAGE_SIZE = 1000;

/**
 * This account's snapshots that carry all of the tags. Snapshots that others share are left out: their tags are
 * written by whoever shares them.
 */
export async function findSnapshots(ec2: EC2Client, tags: Partial<TagValues>): Promise<DescribedSnapshot[]> {
  const found: DescribedSnapshot[] = [];
  const input = { OwnerIds: ['self'], Filters: tagFilters(tags) };
  for await (const { Snapshots } of paginateDescribeSnapshots({ client: ec2, pageSize: PAGE_SIZE }, input))
    found.push(...(Snapshots ?? []).flatMap(withId));
  return found;
}

function withId(snapshot: Snapshot): DescribedSnapshot[] {
  return snapshot.SnapshotId === undefined ? [] : [{ ...snapshot, SnapshotId: snapshot.SnapshotId }];
}

/**
 * Waits until all of the snapshots are completed.
 * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given one up
 */
export async function untilCompleted(
  ec2: EC2Client,
  ids: string[],
  pollSeconds?: number,
): Promise<DescribedSnapshot[]> {
  const options = { pollSeconds, limitSeconds: COMPLETION_LIMIT_SECONDS };
  return waitFor(
    `the snapshots ${ids.join(', ')} to be completed`,
    async () => {
      const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: ids }));
      const snapshots = (Snapshots ?? []).flatMap(withId);
      const failed = snapshots.find(({ State }) => State === 'error');
      if (failed !== undefined)
        throw ApplicationFailure.retryable(
          `AWS gave up the snapshot ${failed.SnapshotId}: ${failed.StateMessage ?? 'it does not say why'}.`,
          'SnapshotFailed',
        );
      const done = snapshots.length === ids.length && snapshots.every(({ State }) => State === 'completed');
      return done ? snapshots : undefined;
    },
    options,
  );
}

/**
 * As {@link deleteSnapshots}, but those that an image is made of are left alone: a test failover may be launching by it. They
 * are told from the rest by AWS, and deleted when somebody asks again.
 */
export async function deleteUnusedSnapshots(ec2: EC2Client, ids: string[]): Promise<string[]> {
  const deleted: string[] = [];
  for (const id of ids) {
    try {
      deleted.push(...(await deleteSnapshots(ec2, [id])));
    } catch (error) {
      if (!hasCode(error, 'InvalidSnapshot.InUse')) throw error;
    }
  }
  return deleted;
}

/** Deletes snapshots one after the other (the API takes one a call); those that are gone already are no error. */
export async function deleteSnapshots(ec2: EC2Client, ids: string[]): Promise<string[]> {
  for (const SnapshotId of ids) {
    try {
      await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
    } catch (error) {
      if (!hasCode(error, 'InvalidSnapshot.NotFound')) throw error;
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
  pollSeconds?: number,
): Promise<string[]> {
  const deleted = new Set<string>();
  let emptyLooks = 0;
  const look = async () => {
    const ids = (await findSnapshots(ec2, tags)).map(({ SnapshotId }) => SnapshotId);
    emptyLooks = ids.length === 0 ? emptyLooks + 1 : 0;
    for (const id of await deleteSnapshots(ec2, ids)) deleted.add(id);
    return emptyLooks === 2 ? true : undefined;
  };
  await waitFor('deleted snapshots to be gone', look, { pollSeconds });
  return [...deleted].sort();
}
