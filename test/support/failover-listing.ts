import { type EC2Client, waitUntilSnapshotCompleted } from '@aws-sdk/client-ec2';
import { findSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { type Role } from '../../activities/aws-proxy/account/tags';

/** Ids of the snapshots of a VM, or of a role, sorted. */
export async function listSnapshotIds(ec2: EC2Client, vm?: string, role?: Role): Promise<string[]> {
  return (await findSnapshots(ec2, { vm, role })).map(({ SnapshotId }) => SnapshotId).sort();
}

export async function waitUntilCompleted(ec2: EC2Client, snapshotIds: string[]): Promise<void> {
  const pace = { client: ec2, maxWaitTime: 20, minDelay: 1, maxDelay: 1 };
  await waitUntilSnapshotCompleted(pace, { SnapshotIds: snapshotIds });
}
