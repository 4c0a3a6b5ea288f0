import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import { type PlannedRestoreDisk } from '../../activities/aws-proxy/restore/contract';
import { openRestoreMaps, planExtents } from '../../activities/aws-proxy/restore/extents';
import { type RunContext } from '../../plan/run';
import { s3ObjectStore } from '../../repository/objects/object-store';
import { awsProxy, inActivity, runContext } from './worker';

export interface RestoreJob {
  vms: string[];
  runId: string;
  /**
   * The DR copy that is brought up to date: its snapshots by disk key, and the backup that they hold. Absent: full
   * copies.
   */
  parent?: { recoveryPoint: string; snapshotIds: Record<string, string> };
}

export interface RestoredDisk {
  vm: string;
  key: string;
  snapshotId: string;
  blocks: number;
}

/**
 * What of a disk differs from the parent that it is given here: the benchmark's endpoint has no tags by which
 * `planRestore` would find the DR copy.
 */
async function onParent(
  { repository }: RunContext,
  vm: string,
  recoveryPoint: string,
  disk: PlannedRestoreDisk,
): Promise<PlannedRestoreDisk> {
  const store = s3ObjectStore(s3Client(repository), repository);
  const extents = await planExtents(await openRestoreMaps(store, vm, recoveryPoint, disk));
  return { ...disk, extents, blocks: extents.reduce((sum, { blocks }) => sum + blocks, 0) };
}

/** What restore workflows have the AWS proxy do, all VMs at once, up to the completed snapshots. */
export async function restore({ vms, runId, parent }: RestoreJob): Promise<RestoredDisk[]> {
  const activities = awsProxy();
  const run = runContext('aws-proxy', runId);
  const restored = await Promise.all(
    vms.map(async (vm) => {
      const plan = await inActivity(activities.planRestore, { run, vm });
      return Promise.all(
        plan.disks.map(async (planned) => {
          const parentSnapshotId = parent?.snapshotIds[planned.key];
          const disk =
            parent === undefined || parentSnapshotId === undefined
              ? planned
              : await onParent(run, vm, plan.recoveryPoint, {
                  ...planned,
                  parentSnapshotId,
                  parentRecoveryPoint: parent.recoveryPoint,
                });
          const input = { run, vm, attempt: 1, restore: plan, disk };
          const { snapshotId } = await inActivity(activities.startSnapshot, input);
          const { recoveryPoint } = plan;
          const target = { run, vm, attempt: 1, recoveryPoint, disk, snapshotId };
          let blocksBefore = 0;
          await Promise.all(
            disk.extents.map((extent) => {
              const copied = inActivity(activities.copyExtent, { ...target, extent, blocksBefore });
              blocksBefore += extent.blocks;
              return copied;
            }),
          );
          await inActivity(activities.completeSnapshot, target);
          return { vm, key: disk.key, snapshotId, blocks: disk.blocks };
        }),
      );
    }),
  );
  return restored.flat();
}
