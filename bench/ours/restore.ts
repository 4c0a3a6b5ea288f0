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
              : { ...planned, parentSnapshotId, parentRecoveryPoint: parent.recoveryPoint };
          const input = { run, vm, attempt: 1, restore: plan, disk };
          const { snapshotId } = await inActivity(activities.startSnapshot, input);
          const { blocks } = await inActivity(activities.copyToSnapshot, { ...input, snapshotId });
          return { vm, key: disk.key, snapshotId, blocks };
        }),
      );
    }),
  );
  return restored.flat();
}
