import { backupProxy, inActivity, runContext } from './worker';

export interface BackupJob {
  vms: string[];
  /** Also the id of the hypervisor's snapshots. */
  backupId: string;
  runId: string;
}

/** What backup workflows have the backup proxy do, all VMs at once. */
export async function backup({
  vms,
  backupId,
  runId,
}: BackupJob): Promise<{ blocks: number; bytes: number }> {
  const activities = backupProxy();
  const run = runContext('backup-proxy', runId);
  const results = await Promise.all(
    vms.map(async (vm) => {
      const snapshot = await inActivity(activities.snapshotVm, { run, vm, backupId });
      const disks = await Promise.all(
        snapshot.configuration.disks.map(async ({ key }) => ({
          key,
          ...(await inActivity(activities.backupDisk, { run, vm, backupId, diskKey: key })),
        })),
      );
      const result = await inActivity(activities.finishBackup, { run, vm, backupId, ...snapshot, disks });
      await inActivity(activities.releaseVmSnapshot, { vm, backupId });
      return result.disks;
    }),
  );
  const disks = results.flat();
  return {
    blocks: disks.reduce((sum, { blocks }) => sum + blocks, 0),
    bytes: disks.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
