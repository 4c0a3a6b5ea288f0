import { backupProxy, inActivity, runContext } from './worker';

export interface BackupJob {
  vm: string;
  /** Also the id of the hypervisor's snapshot. */
  backupId: string;
  runId: string;
}

/** What a backup workflow has the backup proxy do. */
export async function backup({ vm, backupId, runId }: BackupJob): Promise<{ blocks: number; bytes: number }> {
  const activities = backupProxy();
  const run = runContext('backup-proxy', runId);
  const snapshot = await inActivity(activities.snapshotVm, { run, vm, backupId });
  const disks = await Promise.all(
    snapshot.configuration.disks.map(async ({ key }) => ({
      key,
      ...(await inActivity(activities.backupDisk, { run, vm, backupId, diskKey: key })),
    })),
  );
  const result = await inActivity(activities.finishBackup, { run, vm, backupId, ...snapshot, disks });
  await inActivity(activities.releaseVmSnapshot, { vm, backupId });
  return {
    blocks: result.disks.reduce((sum, { blocks }) => sum + blocks, 0),
    bytes: result.disks.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
