import { awsProxy, inActivity, runContext } from './worker';

export interface RestoreJob {
  vm: string;
  runId: string;
  /** The DR copy that is brought up to date: snapshots by disk key, and the backup that they hold. Absent: a full copy. */
  parent?: { recoveryPoint: string; snapshotIds: Record<string, string> };
}

export interface RestoredDisk {
  snapshotId: string;
  blocks: number;
  blocksSentAgain: number;
}

/** What a restore workflow has the AWS proxy do, up to the completed snapshots. */
export async function restore({ vm, runId, parent }: RestoreJob): Promise<Record<string, RestoredDisk>> {
  const activities = awsProxy();
  const run = runContext('aws-proxy', runId);
  const plan = await inActivity(activities.planRestore, { run, vm });
  const restored = await Promise.all(
    plan.disks.map(async (planned) => {
      const parentSnapshotId = parent?.snapshotIds[planned.key];
      const disk =
        parent === undefined || parentSnapshotId === undefined
          ? planned
          : { ...planned, parentSnapshotId, parentRecoveryPoint: parent.recoveryPoint };
      const input = { run, vm, attempt: 1, restore: plan, disk };
      const { snapshotId } = await inActivity(activities.startSnapshot, input);
      const { blocks, blocksSentAgain } = await inActivity(activities.copyToSnapshot, {
        ...input,
        snapshotId,
      });
      return [disk.key, { snapshotId, blocks, blocksSentAgain }] as const;
    }),
  );
  return Object.fromEntries(restored);
}
