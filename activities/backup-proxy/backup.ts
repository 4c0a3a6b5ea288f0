import { ApplicationFailure } from '@temporalio/common';
import { type DiskConfiguration } from '../../hypervisor/port';
import { findBlockMap, readManifest } from '../../repository/backups/backups';
import { publishBackup, releasePins } from '../../repository/backups/building-on';
import { checkBackupId, checkVmName } from '../../repository/objects/keys';
import { type BackedUpDisk } from '../../repository/backups/manifest';
import { type ObjectStore } from '../../repository/objects/object-store';
import { withFailures } from '../failures';
import { whileBeating } from '../heartbeat';
import { type BackupProxyActivities } from './contract';
import { backupDisk, type BackupDependencies, newestUsableBackup } from './disk-backup';

export type BackupActivities = Pick<
  BackupProxyActivities,
  'snapshotVm' | 'backupDisk' | 'finishBackup' | 'releaseVmSnapshot'
>;

/** The backup proxy's activities that make a recovery point. */
export function createBackupActivities(dependencies: BackupDependencies): BackupActivities {
  const { hypervisor, objectStore } = dependencies;
  return withFailures({
    snapshotVm: ({ vm, backupId }) =>
      whileBeating(async () => {
        checkVmName(vm);
        checkBackupId(backupId);
        const { takenAt, consistency } = await hypervisor.snapshotVm(vm, backupId);
        // Only what belongs to the VM's hardware travels with its backups.
        const { cpus, memoryMiB, firmware, nics, guestOs, disks } = await hypervisor.describeVm(vm);
        const configuration = { cpus, memoryMiB, firmware, nics, guestOs, disks };
        return { takenAt, consistency, configuration };
      }),

    backupDisk: (input) => backupDisk(dependencies, input),

    finishBackup: ({ run, vm, backupId, takenAt, consistency, configuration, disks: copied }) =>
      whileBeating(async () => {
        const store = objectStore(run.repository);
        if ((await readManifest(store, vm, backupId)) === undefined) {
          // A backup that starts anew on every disk builds on nothing.
          const full = copied.every((disk) => disk.full);
          const previous = full ? undefined : await newestUsableBackup(store, vm, backupId);
          const disks = await Promise.all(
            configuration.disks.map((disk) => backedUpDisk(store, vm, backupId, disk)),
          );
          await publishBackup(store, {
            version: 1,
            vm,
            backupId,
            takenAt,
            consistency,
            configuration,
            ...(previous === undefined ? {} : { previous: previous.backupId }),
            disks,
          });
        } else {
          // An earlier try may have got no further.
          await releasePins(store, { vm, backupId, disks: configuration.disks });
        }
        return {
          vm,
          backupId,
          takenAt,
          kind: copied.some((disk) => disk.full) ? 'full' : 'incremental',
          disks: copied.map(({ full: _, ...result }) => result),
        };
      }),

    releaseVmSnapshot: ({ vm, backupId }) => whileBeating(() => hypervisor.releaseSnapshot(vm, backupId)),
  } satisfies BackupActivities);
}

async function backedUpDisk(
  store: ObjectStore,
  vm: string,
  backupId: string,
  { key, sizeBytes }: DiskConfiguration,
): Promise<BackedUpDisk> {
  const found = await findBlockMap(store, vm, backupId, key);
  if (found?.map.diskSizeBytes !== sizeBytes)
    throw ApplicationFailure.nonRetryable(
      `The backup ${backupId} of ${vm} has no block map of the disk "${key}" with ${sizeBytes} bytes: the VM's disks ` +
        `were changed while it was backed up. Back it up again.`,
      'BackupIncomplete',
    );
  return {
    key,
    sizeBytes,
    blockMap: found.key,
    blockMapSha256: found.sha256,
    dataBlocks: found.map.length,
    storedBlocks: found.map.storedBlocks,
    storedBytes: found.map.storedBytes,
  };
}
