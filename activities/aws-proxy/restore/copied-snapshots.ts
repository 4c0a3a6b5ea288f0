import { type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type RunContext } from '../../../plan/run';
import { type CopySnapshot } from '../account/dr-copy';
import { untilCompleted } from '../account/snapshots';
import { diskValues } from '../account/tags';
import { type RestoreDisk, type RestorePlan } from './contract';

/** A copy whose snapshots are to be looked at. */
export interface CopiedSnapshots {
  run: RunContext;
  vm: string;
  restore: RestorePlan;
  snapshots: { diskKey: string; snapshotId: string }[];
}

/** A snapshot of a copy, and the disk that it is of. */
export interface CopiedSnapshot extends CopySnapshot {
  disk: RestoreDisk;
}

/**
 * Waits until all snapshots of a copy are completed, and checks that they are one for each of its disks, of that size and with
 * the tags that this run gave them.
 * @param read reads the tags of a snapshot that is of this kind
 * @throws ApplicationFailure DrCopyMismatch, non-retryable
 */
export async function checkedSnapshots(
  ec2: EC2Client,
  copied: CopiedSnapshots,
  read: (tags: Tag[] | undefined) => CopySnapshot['tags'] | undefined,
  pollSeconds?: number,
): Promise<CopiedSnapshot[]> {
  const { vm, restore } = copied;
  const ids = snapshotIds(copied);
  const found = await untilCompleted(ec2, [...ids.values()], pollSeconds);
  return found.map((snapshot) => {
    const disk = restore.disks.find(({ key }) => ids.get(key) === snapshot.SnapshotId);
    const tags = read(snapshot.Tags);
    if (disk === undefined || tags === undefined || snapshot.VolumeSize !== disk.volumeGiB)
      throw mismatch(vm, snapshot.SnapshotId);
    checkTags(copied, disk, { snapshot, tags });
    return { disk, snapshot, tags };
  });
}

/** The snapshot of each disk: exactly one for every disk that was to be restored. */
function snapshotIds({ vm, restore, snapshots }: CopiedSnapshots): Map<string, string> {
  const ids = new Map(snapshots.map(({ diskKey, snapshotId }) => [diskKey, snapshotId]));
  const whole =
    snapshots.length === restore.disks.length &&
    new Set(ids.values()).size === restore.disks.length &&
    restore.disks.every(({ key }) => ids.has(key));
  if (!whole)
    throw ApplicationFailure.nonRetryable(
      `The snapshots (${[...ids.keys()].join(', ')}) are not those of the disks of ${vm} ` +
        `(${restore.disks.map(({ key }) => key).join(', ')}).`,
      'DrCopyMismatch',
    );
  return ids;
}

/** A snapshot with other tags would not be found as a part of this copy, or be found as a part of another. */
function checkTags(
  { run, vm, restore }: CopiedSnapshots,
  disk: RestoreDisk,
  { snapshot, tags }: CopySnapshot,
): void {
  const values = {
    plan: run.plan,
    run: run.runId,
    vm,
    ...diskValues(disk),
    diskCount: restore.disks.length,
    recoveryPoint: restore.recoveryPoint,
  };
  const same = (Object.keys(values) as (keyof typeof values)[]).every(
    (field) => tags[field] === values[field],
  );
  if (!same || Date.parse(tags.takenAt) !== Date.parse(restore.takenAt))
    throw mismatch(vm, snapshot.SnapshotId);
}

function mismatch(vm: string, snapshotId: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The snapshot ${snapshotId} has not the size or the tags that this restore of ${vm} gave it.`,
    'DrCopyMismatch',
  );
}
