import { leaveOut } from '../../excluded-disks';
import { type SnapshotOptions, type VmSnapshot } from '../../port';
import { trackedThroughout, writeMarker } from './cbt-guards';
import { describeConfiguration, describeDisks, type NetworkNames } from '../describe';
import { type DiskDevice } from '../devices';
import { type OwnSnapshot } from './snapshots';
import { type VirtualMachineConfigInfo } from '../vim/schema';

export interface SnapshotSurroundings {
  networks: NetworkNames;
  /** Disks of the VM's other snapshots. */
  standing: readonly DiskDevice[];
  consolidationNeeded: boolean;
}

/**
 * A snapshot that there is, as the port tells it.
 * @param config the VM's at the snapshot
 */
export function vmSnapshot(
  snapshot: OwnSnapshot,
  config: VirtualMachineConfigInfo,
  { consistency: wanted, excludeDisks }: SnapshotOptions,
  { networks, standing, consolidationNeeded }: SnapshotSurroundings,
): VmSnapshot {
  const described = describeConfiguration(config, networks);
  const all = describeDisks(config);
  const labels = new Map(all.map(({ disk, configuration }) => [configuration.key, disk.label]));
  const { disks, notes } = leaveOut(
    described.disks,
    excludeDisks,
    (key) => `"${key}" (${labels.get(key) ?? ''})`,
  );
  const consistency = snapshot.description.off ? 'powered-off' : snapshot.quiesced ? 'quiesced' : 'crash';
  const { quiescing } = snapshot.description;

  if (wanted === 'quiesced' && consistency === 'crash')
    notes.push(
      `The guest was not quiesced, and the backup is as after a power cut. ${
        quiescing ??
        'vSphere did without, as it does where VMware Tools do not run: see to them in the guest.'
      }`,
    );
  if (consolidationNeeded)
    notes.push(
      "The VM's disks need consolidation, which another's work on their files keeps from being done: the VM writes to growing " +
        'files. See what has them open, and consolidate the disks in the client.',
    );
  const changeMarkers: Record<string, string> = {};
  for (const { disk, configuration } of all) {
    if (!disks.some(({ key }) => key === configuration.key)) continue;
    const { changeId } = disk.backing;
    if (changeId !== undefined && trackedThroughout(disk, standing))
      changeMarkers[configuration.key] = writeMarker({ changeId, uuid: disk.uuid, capacity: disk.sizeBytes });
    else
      notes.push(
        changeId === undefined
          ? `Changes of the disk "${configuration.key}" are not tracked yet, and backups read all of it. Tracking is switched on ` +
              `by itself at the first backup that finds the VM without snapshots, and begins with its next start or snapshot.`
          : `Changes of the disk "${configuration.key}" are not told for certain, as the VM has a snapshot from before they were ` +
              `tracked, and backups read all of it. Remove that snapshot.`,
      );
  }
  return {
    takenAt: snapshot.description.takenAt,
    consistency,
    notes,
    configuration: { ...described, disks },
    changeMarkers,
  };
}
