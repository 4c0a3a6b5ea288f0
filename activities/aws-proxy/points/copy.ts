import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type RepositoryAddress } from '../../../plan/run';
import { readManifest } from '../../../repository/backups/backups';
import { removePin } from '../../../repository/backups/pins';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { findDrCopy, withConfiguration } from '../account/dr-copy';
import { removeSnapshots } from '../account/snapshots';
import { readPointSnapshot, runValues } from '../account/tags';
import { checkedSnapshots } from '../restore/copied-snapshots';
import { compare, pin, requireKmsKey } from '../restore/plan';
import { type PointActivities } from './contract';

export interface PointCopyDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

type PointCopyActivities = Omit<PointActivities, 'choosePoints'>;

/** What is done before and after a chosen recovery point's blocks are copied as a restore's are. */
export function createPointCopyActivities({
  ec2,
  objectStore,
  pollSeconds,
}: PointCopyDependencies): PointCopyActivities {
  const activities = {
    async planPointCopy({ run, vm, recoveryPoint, kmsKey }) {
      const store = objectStore(run.repository);
      requireKmsKey(kmsKey);
      const manifest = await readManifest(store, vm, recoveryPoint);
      if (manifest === undefined) throw retired(vm, recoveryPoint);
      const plan = await compare(store, manifest, await findDrCopy(ec2, run.plan, vm), kmsKey);
      if (!(await pin(store, run, vm, plan))) throw retired(vm, recoveryPoint);
      return plan;
    },

    async finishPointCopy({ run, vm, restore, snapshots }) {
      const store = objectStore(run.repository);
      const copied = { run, vm, restore, snapshots };
      const checked = await checkedSnapshots(ec2, copied, readPointSnapshot, pollSeconds);
      // Its blocks are copied, and for what else needs the backup the snapshots' tags hold it.
      await removePin(store, vm, { runId: run.runId });
      const { recoveryPoint, takenAt } = restore;
      const disks = checked.map(({ disk, snapshot, tags }) => {
        const { key, sizeBytes, slot, controller, boot, volumeGiB } = disk;
        return {
          ...{ key, sizeBytes, slot, boot, volumeGiB },
          ...(controller === undefined ? {} : { controller }),
          snapshotId: snapshot.SnapshotId,
          blockMapSha256: tags.blockMap,
        };
      });
      return withConfiguration(store, { vm, recoveryPoint, takenAt, runId: run.runId, disks });
    },

    async discardPointCopy({ run, vm }) {
      const deleted = await removeSnapshots(ec2, { ...runValues(run), vm, role: 'point-copy' }, pollSeconds);
      await removePin(objectStore(run.repository), vm, { runId: run.runId });
      return { deleted };
    },
  } satisfies PointCopyActivities;
  return withFailures(beating<PointCopyActivities>(activities));
}

function retired(vm: string, recoveryPoint: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The backup ${recoveryPoint} of ${vm} was retired a moment ago. Start the failover again: it will choose among what is there.`,
    'BackupRetired',
  );
}
