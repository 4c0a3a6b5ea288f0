import { DescribeLockedSnapshotsCommand, type EC2Client, LockSnapshotCommand } from '@aws-sdk/client-ec2';

/** A snapshot's lock, as EC2 tells it; also one that has ended. Times are in milliseconds since 1970. */
export interface ToldLock {
  mode: string;
  holds: boolean;
  createdAt: number;
  until: number;
}

/** All of the account's, by snapshot. */
export async function listLocks(ec2: EC2Client): Promise<Map<string, ToldLock>> {
  const locks = new Map<string, ToldLock>();
  let NextToken: string | undefined;
  do {
    const page = await ec2.send(new DescribeLockedSnapshotsCommand({ NextToken }));
    for (const { SnapshotId = '', LockState = '', LockCreatedOn, LockExpiresOn } of page.Snapshots ?? [])
      locks.set(SnapshotId, {
        mode: LockState,
        holds: LockState !== 'expired',
        createdAt: LockCreatedOn?.getTime() ?? 0,
        until: LockExpiresOn?.getTime() ?? Infinity,
      });
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return locks;
}

/** A lock of governance lasts for a day from now on, the shortest there is. */
export async function shortenLock(ec2: EC2Client, SnapshotId: string): Promise<void> {
  await ec2.send(new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', LockDuration: 1 }));
}
