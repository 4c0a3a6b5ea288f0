import {
  DeleteSnapshotCommand,
  type EC2Client,
  EC2ServiceException,
  type Snapshot,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode, throttledSeconds } from '../../failures';
import { findSnapshot, listSnapshots } from './lookup';
import { findLocksIfAllowed } from './snapshot-locks';
import { tagFilters, type TagValues } from './tags';
import { waitFor } from './waiting';

/** A snapshot as EC2 describes it, with what every one of them has. */
export type DescribedSnapshot = Snapshot & { SnapshotId: string };

/** Longest that a snapshot may take to complete: EC2 says hours for large volumes, the workflow's timeout ends it. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;

/** Looks one after the other without a snapshot after which the wait begins anew: what is new may not be listed for a moment. */
const MISSING_LOOKS = 5;

/** A snapshot with what its tags say. */
export interface TaggedSnapshot<Tags> {
  snapshot: DescribedSnapshot;
  tags: Tags;
}

/** Those of the snapshots whose tags can be read as such. */
export function taggedSnapshots<Tags>(
  snapshots: DescribedSnapshot[],
  read: (tags: Snapshot['Tags']) => Tags | undefined,
): TaggedSnapshot<Tags>[] {
  return snapshots.flatMap((snapshot) => {
    const tags = read(snapshot.Tags);
    return tags === undefined ? [] : [{ snapshot, tags }];
  });
}

/** This account's snapshots that carry all of the tags. */
export async function findSnapshots(ec2: EC2Client, tags: Partial<TagValues>): Promise<DescribedSnapshot[]> {
  return (await listSnapshots(ec2, tagFilters(tags))).flatMap(withId);
}

function withId(snapshot: Snapshot): DescribedSnapshot[] {
  return snapshot.SnapshotId === undefined ? [] : [{ ...snapshot, SnapshotId: snapshot.SnapshotId }];
}

/**
 * Waits until all of the snapshots are completed.
 * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given one up
 * @throws ApplicationFailure NotYetVisible, retryable, where one is not listed: not yet, or not any more
 */
export async function untilCompleted(
  ec2: EC2Client,
  ids: string[],
  pollSeconds?: number,
): Promise<DescribedSnapshot[]> {
  const options = { pollSeconds, limitSeconds: COMPLETION_LIMIT_SECONDS };
  let missing = 0;
  return waitFor(
    `the snapshots ${ids.join(', ')} to be completed`,
    async () => {
      const seen = await Promise.all(ids.map((id) => findSnapshot(ec2, id)));
      const snapshots = seen.flatMap((snapshot) => (snapshot === undefined ? [] : withId(snapshot)));
      const failed = snapshots.find(({ State }) => State === 'error');
      if (failed !== undefined)
        throw ApplicationFailure.retryable(
          `AWS gave up the snapshot ${failed.SnapshotId}: ${failed.StateMessage ?? 'it does not say why'}.`,
          'SnapshotFailed',
        );
      missing = snapshots.length < ids.length ? missing + 1 : 0;
      if (missing >= MISSING_LOOKS)
        throw ApplicationFailure.retryable(
          `EC2 does not list all of the snapshots ${ids.join(', ')}; has something else deleted one?`,
          'NotYetVisible',
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

/**
 * Deletes snapshots one after the other (the API takes one a call); those that are gone already are no error, nor are those that
 * are locked: they stay until somebody asks again after the lock's end.
 * @returns ids of those that are gone
 */
export async function deleteSnapshots(ec2: EC2Client, ids: string[]): Promise<string[]> {
  const deleted: string[] = [];
  for (const SnapshotId of ids) {
    try {
      await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
    } catch (error) {
      if (await isLocked(ec2, SnapshotId, error)) continue;
      if (!hasCode(error, 'InvalidSnapshot.NotFound')) throw error;
    }
    deleted.push(SnapshotId);
  }
  return deleted;
}

/** Answers of DeleteSnapshot that say something else for certain, or are no answer to it. */
const OF_ANOTHER_KIND: ReadonlySet<number | undefined> = new Set([undefined, 500, 502, 503, 504]);

/**
 * Whether a snapshot could not be deleted because it is locked. AWS's list of error codes has none for it, so the snapshot is asked
 * about as well.
 */
async function isLocked(ec2: EC2Client, id: string, refusal: unknown): Promise<boolean> {
  if (hasCode(refusal, 'SnapshotLocked')) return true;
  const status = refusal instanceof EC2ServiceException ? refusal.$metadata.httpStatusCode : undefined;
  if (OF_ANOTHER_KIND.has(status) || throttledSeconds(refusal) !== undefined) return false;
  if (hasCode(refusal, 'InvalidSnapshot.NotFound', 'InvalidSnapshot.InUse')) return false;
  return (await findLocksIfAllowed(ec2, [id])).has(id);
}

/**
 * Deletes every snapshot that carries all of the tags, and looks again until none is listed but what somebody has locked. It takes
 * two empty looks one after the other: EC2 is eventually consistent, and a snapshot whose creation had an unknown outcome shows late.
 */
export async function removeSnapshots(
  ec2: EC2Client,
  tags: Partial<TagValues>,
  pollSeconds?: number,
): Promise<string[]> {
  const deleted = new Set<string>();
  const locked = new Set<string>();
  let emptyLooks = 0;
  const look = async () => {
    const ids = (await findSnapshots(ec2, tags))
      .map(({ SnapshotId }) => SnapshotId)
      .filter((id) => !locked.has(id));
    emptyLooks = ids.length === 0 ? emptyLooks + 1 : 0;
    const gone = new Set(await deleteSnapshots(ec2, ids));
    for (const id of ids) (gone.has(id) ? deleted : locked).add(id);
    return emptyLooks === 2 ? true : undefined;
  };
  await waitFor('deleted snapshots to be gone', look, { pollSeconds });
  return [...deleted].sort();
}
