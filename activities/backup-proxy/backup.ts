import { cancellationDetails, cancellationSignal } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type GuestAdapter } from '../../guest/port';
import { type DiskConfiguration } from '../../hypervisor/port';
import { nameControllers } from '../../machines/disk-place';
import { primaryNameOf } from '../../plan/primary-vm';
import { findBlockMap, readManifest } from '../../repository/backups/backups';
import { publishBackup, releasePins } from '../../repository/backups/building-on';
import { checkBackupId, checkVmName } from '../../repository/objects/keys';
import { type BackedUpDisk } from '../../repository/backups/manifest';
import { type ObjectStore } from '../../repository/objects/object-store';
import { withFailures } from '../failures';
import { whileBeating } from '../heartbeat';
import { type BackupProxyActivities } from './contract';
import { backupDisk, type DiskBackupDependencies, newestUsableBackup } from './disk-backup';
import { recentRehearsal, rehearse } from './rehearsal';

export type BackupActivities = Pick<
  BackupProxyActivities,
  'snapshotVm' | 'backupDisk' | 'rehearseAdaptation' | 'finishBackup' | 'releaseVmSnapshot'
>;

export interface BackupDependencies extends DiskBackupDependencies {
  guestAdapter: GuestAdapter;
}

/** The backup proxy's activities that make a recovery point. */
export function createBackupActivities(dependencies: BackupDependencies): BackupActivities {
  const { hypervisor, objectStore } = dependencies;
  return withFailures({
    snapshotVm: ({ backupId, consistency, excludeDisks, ...names }) =>
      whileBeating(async () => {
        checkVmName(names.vm);
        checkBackupId(backupId);
        const vm = primaryNameOf(names);
        const found = await hypervisor.check?.({ purpose: 'backup', vm, excludeDisks });
        if (found !== undefined && found.problems.length > 0)
          throw ApplicationFailure.nonRetryable(found.problems.join(' '), 'PrimarySiteNotReady');
        const snapshot = await hypervisor.snapshotVm(vm, backupId, { consistency, excludeDisks });
        if (cancellationSignal().aborted) {
          // The run is over with it, and its release may have come before. Where this try alone is given up, as the server has not heard
          // of it for too long, the snapshot is that of the next try, which may have found it already.
          if (cancellationDetails()?.cancelRequested === true) await hypervisor.releaseSnapshot(vm, backupId);
          cancellationSignal().throwIfAborted();
        }
        const { disks, diskController } = snapshot.configuration;
        // What is made of the backup knows the disks one by one, and not the VM's kind of controller.
        const named = nameControllers(disks, diskController);
        return {
          ...snapshot,
          notes: [...(found?.notes ?? []), ...snapshot.notes],
          configuration: { ...snapshot.configuration, disks: named },
        };
      }),

    backupDisk: (input) => backupDisk(dependencies, input),

    rehearseAdaptation: ({ run, ...rehearsed }) =>
      whileBeating(async () => {
        const recent = await recentRehearsal(objectStore(run.repository), rehearsed.vm, new Date());
        return recent ?? rehearse(dependencies, rehearsed);
      }),

    finishBackup: ({ run, vm, backupId, disks: copied, guest, excludeDisks = [], ...snapshot }) =>
      whileBeating(async () => {
        const { takenAt, consistency, configuration, changeMarkers = {} } = snapshot;
        const excluded = excludeDisks.length === 0 ? {} : { excludedDisks: excludeDisks };
        const notes = [snapshot, ...copied].flatMap((part) => part.notes ?? []);
        const store = objectStore(run.repository);
        if ((await readManifest(store, vm, backupId)) === undefined) {
          // A backup that starts anew on every disk builds on nothing.
          const full = copied.every((disk) => disk.full);
          const previous = full ? undefined : await newestUsableBackup(store, vm, backupId);
          const disks = await Promise.all(
            configuration.disks.map(async (disk) => ({
              ...(await backedUpDisk(store, vm, backupId, disk)),
              ...markerOf(changeMarkers, disk.key),
            })),
          );
          await publishBackup(store, {
            version: 1,
            vm,
            backupId,
            takenAt,
            consistency,
            ...(notes.length === 0 ? {} : { notes }),
            ...excluded,
            configuration,
            ...(previous === undefined ? {} : { previous: previous.backupId }),
            disks,
            ...(guest === undefined ? {} : { guest }),
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
          consistency,
          disks: copied.map(({ full: _, notes: __, ...result }) => result),
          ...(notes.length === 0 ? {} : { notes }),
          ...excluded,
          ...(guest === undefined ? {} : { guest }),
        };
      }),

    releaseVmSnapshot: ({ backupId, ...names }) =>
      whileBeating(() => hypervisor.releaseSnapshot(primaryNameOf(names), backupId)),
  } satisfies BackupActivities);
}

function markerOf(markers: Record<string, string>, key: string): { changeMarker?: string } {
  // Object.hasOwn: a key may be "constructor".
  const changeMarker = Object.hasOwn(markers, key) ? markers[key] : undefined;
  return changeMarker === undefined ? {} : { changeMarker };
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
