import { type DiskConfiguration } from '../../hypervisor/port';
import { backupProxy, inActivity, runContext } from './worker';

export interface FailbackJob {
  vm: string;
  runId: string;
  disk: DiskConfiguration;
  snapshotId: string;
}

/** The first pass of a failback, onto the empty disk of a template VM. */
export async function failback({ vm, runId, disk, snapshotId }: FailbackJob): Promise<{ blocks: number }> {
  const { copySnapshotToDisk } = backupProxy();
  const run = runContext('backup-proxy', runId);
  const { blocks } = await inActivity(copySnapshotToDisk, { run, vm, disk, snapshotId });
  return { blocks };
}
