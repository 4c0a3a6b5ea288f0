import { CreateTagsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { removePin, requirePin } from '../../../repository/backups/pins';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { type RestoreActivities } from './contract';
import { checkedSnapshots } from './copied-snapshots';
import {
  completeSets,
  type DrCopySet,
  findCopySnapshots,
  notYetVisible,
  withConfiguration,
} from '../account/dr-copy';
import { findLaunchSnapshots } from '../account/launch-copy';
import { deleteUnusedSnapshots, removeSnapshots } from '../account/snapshots';
import { findLocksIfAllowed } from '../account/snapshot-locks';
import { readCopySnapshot, runValues, tagList } from '../account/tags';

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
      const copied = { run, vm, restore, snapshots };
      const checked = await checkedSnapshots(ec2, copied, readCopySnapshot, pollSeconds);
      // Here, too, and not only in the workflow: a try after an outage can come long after the workflow's own check.
      await checkPlanState(objectStore(run.repository), run);
      // Snapshots are tagged since before this look: whoever collects after it sees that they hold the backup.
      await requirePin(objectStore(run.repository), vm, { runId: run.runId });
      await ec2.send(
        // One call for all: AWS promises no transaction, but a set counts only when all of it has the role.
        new CreateTagsCommand({
          Resources: checked.map(({ snapshot }) => snapshot.SnapshotId),
          Tags: tagList({ role: 'dr-copy' }),
        }),
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
      // Those that are known to be locked are not even tried: they stay for days, and deletions are few a second.
      const locks = await findLocksIfAllowed(ec2, replaced);
      const deleted = await deleteUnusedSnapshots(
        ec2,
        replaced.filter((id) => !locks.has(id)),
      );
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
