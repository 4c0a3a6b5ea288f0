import { type EC2Client } from '@aws-sdk/client-ec2';
import { findAll } from '../activities/aws-proxy/account/clean-up';

/** What of a run is in the account, by its tags: ids, sorted by kind. */
export interface MadeByRun {
  instances: string[];
  volumes: string[];
  images: string[];
  /** Failback's, and copies of chosen recovery points; no DR copy is among them. */
  snapshots: string[];
}

/** Lists what a run has made and has not removed. Changes nothing. */
export async function madeByRun(
  ec2: EC2Client,
  { plan, runId }: { plan: string; runId: string },
): Promise<MadeByRun> {
  const found = await findAll(ec2, { plan, run: runId });
  const ids = (all: (string | undefined)[]): string[] => all.filter((id) => id !== undefined).sort();
  return {
    // Those that are terminated are listed for an hour yet.
    instances: ids(
      found.instances
        .filter(({ State }) => State?.Name !== 'terminated' && State?.Name !== 'shutting-down')
        .map(({ InstanceId }) => InstanceId),
    ),
    volumes: ids(found.volumes.map(({ VolumeId }) => VolumeId)),
    images: ids(found.images.map(({ ImageId }) => ImageId)),
    snapshots: ids(found.snapshots.map(({ SnapshotId }) => SnapshotId)),
  };
}
