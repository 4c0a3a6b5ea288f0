import { leaveOut } from '../../excluded-disks';
import { type SnapshotOptions, type VmConfiguration, type VmSnapshot } from '../../port';
import { type SnapshotRecord } from './snapshot-record';

/**
 * A snapshot that is there, as the port tells it. A disk's change marker is the snapshot's id: what was written since is
 * known to QEMU and to the VM's own files.
 */
export function vmSnapshot(
  configuration: VmConfiguration,
  record: SnapshotRecord,
  { consistency, excludeDisks }: SnapshotOptions,
): VmSnapshot {
  const { disks, notes } = leaveOut(record.disks, excludeDisks);
  const unquiesced = consistency === 'quiesced' && record.consistency === 'crash';
  return {
    takenAt: record.takenAt,
    consistency: record.consistency,
    notes: [
      ...(unquiesced
        ? ['Guests of this data centre cannot be quiesced; the backup is as after a power cut.']
        : []),
      ...notes,
    ],
    configuration: { ...configuration, disks },
    changeMarkers: Object.fromEntries(disks.map(({ key }) => [key, record.id])),
  };
}
