import {
  DescribeLockedSnapshotsCommand,
  type EC2Client,
  type LockedSnapshotsInfo,
  LockState,
} from '@aws-sdk/client-ec2';
import { hasCode } from '../../failures';
import { knownOf } from './lookup';

/** A lock on a snapshot that holds now. */
export interface HeldLock {
  /** ISO 8601, UTC; absent where EC2 does not say. */
  lockedAt?: string;
  /** ISO 8601, UTC; absent while the snapshot is pending. */
  until?: string;
}

/** Ids in one call. */
const IDS_A_CALL = 200;

/** Lock states in which EC2 refuses to delete a snapshot. An expired lock is told of as well. */
const HOLDING: ReadonlySet<string | undefined> = new Set([
  LockState.governance,
  LockState.compliance,
  LockState.compliance_cooloff,
]);

/**
 * The locks that hold now, by snapshot; one that is not locked, or is gone, is absent. EC2 is asked, and no tag: a tag can be written by
 * anybody who may tag.
 */
export async function findLocks(ec2: EC2Client, ids: readonly string[]): Promise<Map<string, HeldLock>> {
  const locks = new Map<string, HeldLock>();
  for (let from = 0; from < ids.length; from += IDS_A_CALL)
    for (const { SnapshotId, LockState: state, LockCreatedOn, LockExpiresOn } of await describe(
      ec2,
      ids.slice(from, from + IDS_A_CALL),
    ))
      if (SnapshotId !== undefined && HOLDING.has(state))
        locks.set(SnapshotId, {
          ...(LockCreatedOn === undefined ? {} : { lockedAt: LockCreatedOn.toISOString() }),
          ...(LockExpiresOn === undefined ? {} : { until: LockExpiresOn.toISOString() }),
        });
  return locks;
}

/** As {@link findLocks}; none where the role may not ask, as one of before there were locks: EC2 heeds them all the same. */
export async function findLocksIfAllowed(
  ec2: EC2Client,
  ids: readonly string[],
): Promise<Map<string, HeldLock>> {
  try {
    return await findLocks(ec2, ids);
  } catch (error) {
    if (hasCode(error, 'UnauthorizedOperation', 'AccessDenied')) return new Map();
    throw error;
  }
}

/** EC2 has no filter for ids here. */
const describe = (ec2: EC2Client, ids: string[]): Promise<LockedSnapshotsInfo[]> =>
  knownOf(ids, 'InvalidSnapshot.NotFound', async (SnapshotIds) => {
    const found: LockedSnapshotsInfo[] = [];
    let NextToken: string | undefined;
    do {
      const page = await ec2.send(new DescribeLockedSnapshotsCommand({ SnapshotIds, NextToken }));
      found.push(...(page.Snapshots ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    return found;
  });
