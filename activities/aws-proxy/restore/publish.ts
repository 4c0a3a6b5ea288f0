import { CreateTagsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { removePin, requirePin } from '../../../repository/backups/pins';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { type RestoreActivities, type RestoreDisk, type RestorePlan } from './contract';
import {
  completeSets,
  type CopySnapshot,
  type DrCopySet,
  findCopySnapshots,
  notYetVisible,
  withConfiguration,
} from '../account/dr-copy';
import { findLaunchSnapshots } from '../account/launch-copy';
import { deleteUnusedSnapshots, removeSnapshots, untilCompleted } from '../account/snapshots';
import { diskValues, readCopySnapshot, runValues, tagList } from '../account/tags';

export interface DrCopyDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

type DrCopyActivities = Pick<
  RestoreActivities,
  'publishDrCopy' | 'deleteReplacedDrCopies' | 'discardRestore'
>;

/** What happens to a restore's snapshots after their blocks are written. */
export function createDrCopyActivities({
  ec2,
  objectStore,
  pollSeconds,
}: DrCopyDependencies): DrCopyActivities {
  const activities = {
    async publishDrCopy({ run, vm, restore, snapshots }) {
      const ids = snapshotIds(vm, restore, snapshots);
      for (const snapshot of await untilCompleted(ec2, [...ids.values()], pollSeconds)) {
        const disk = restore.disks.find(({ key }) => ids.get(key) === snapshot.SnapshotId);
        const tags = readCopySnapshot(snapshot.Tags);
        if (disk === undefined || tags === undefined || snapshot.VolumeSize !== disk.volumeGiB)
          throw mismatch(vm, snapshot.SnapshotId);
        checkTags({ run, vm, restore, disk }, { snapshot, tags });
      }
      // Here, too, and not only in the workflow: a try after an outage can come long after the workflow's own check.
      await checkPlanState(objectStore(run.repository), run);
      // Snapshots are tagged since before this look: whoever collects after it sees that they hold the backup.
      await requirePin(objectStore(run.repository), vm, { runId: run.runId });
      await ec2.send(
        // One call for all: AWS promises no transaction, but a set counts only when all of it has the role.
        new CreateTagsCommand({ Resources: [...ids.values()], Tags: tagList({ role: 'dr-copy' }) }),
      );
      const published = (await publishedSets(ec2, run, vm)).find(
        (set) => set.runId === run.runId && set.recoveryPoint === restore.recoveryPoint,
      );
      if (published === undefined) throw notYetVisible(vm);
      return withConfiguration(objectStore(run.repository), published);
    },

    async deleteReplacedDrCopies({ run, vm, keep }) {
      const [kept] = (await publishedSets(ec2, run, vm)).filter(
        ({ recoveryPoint }) => recoveryPoint === keep,
      );
      if (kept === undefined) throw notYetVisible(vm);
      await checkPlanState(objectStore(run.repository), run);
      const keptIds = new Set(kept.disks.map(({ snapshotId }) => snapshotId));
      // Whoever calls this holds the plan's state, so that other runs of replication have ended or are fenced off:
      // half a set of theirs that is no newer than the DR copy is of no use to anybody. A newer one is not ours to judge.
      const replaced = (await findCopySnapshots(ec2, { plan: run.plan, vm }))
        .filter(({ tags }) => Date.parse(tags.takenAt) <= Date.parse(kept.takenAt))
        .map(({ snapshot }) => snapshot.SnapshotId)
        .filter((id) => !keptIds.has(id));
      const deleted = await deleteUnusedSnapshots(ec2, replaced);
      // Launch copies go with the DR copy that they are of: with its data disks, nothing could be launched by them.
      const launchCopies = (await findLaunchSnapshots(ec2, { plan: run.plan, vm }))
        .filter(({ tags }) => tags.recoveryPoint !== keep)
        .map(({ snapshot }) => snapshot.SnapshotId);
      deleted.push(...(await deleteUnusedSnapshots(ec2, launchCopies)));
      // The last step of a restore. From here on the DR copy's tags hold its backup.
      await removePin(objectStore(run.repository), vm, { runId: run.runId });
      return { deleted };
    },

    async discardRestore({ run, vm }) {
      const ours = { ...runValues(run), vm };
      const deleted = await removeSnapshots(ec2, { ...ours, role: 'pending-copy' }, pollSeconds);
      deleted.push(...(await removeSnapshots(ec2, { ...ours, role: 'pending-launch-copy' }, pollSeconds)));
      await removePin(objectStore(run.repository), vm, { runId: run.runId });
      return { deleted };
    },
  } satisfies DrCopyActivities;
  return withFailures(beating<DrCopyActivities>(activities));
}

async function publishedSets(ec2: EC2Client, run: RunContext, vm: string): Promise<DrCopySet[]> {
  return completeSets(vm, await findCopySnapshots(ec2, { plan: run.plan, vm, role: 'dr-copy' }));
}

/** The snapshot of each disk: exactly one for every disk that was to be restored. */
function snapshotIds(
  vm: string,
  restore: RestorePlan,
  snapshots: { diskKey: string; snapshotId: string }[],
): Map<string, string> {
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

/** A snapshot with other tags would not be found as a part of this DR copy, or be found as a part of another. */
function checkTags(
  expected: { run: RunContext; vm: string; restore: RestorePlan; disk: RestoreDisk },
  { snapshot, tags }: CopySnapshot,
): void {
  const { run, vm, restore, disk } = expected;
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
