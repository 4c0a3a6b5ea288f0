import { type SnapshotOptions, type VmConfiguration, type VmSnapshot } from '../../port';
import { type SnapshotRecord } from './snapshot-record';

/** @throws Error where what is asked leaves nothing to boot from; to be asked before the snapshot is taken */
export function checkExcluded(configuration: VmConfiguration, { excludeDisks = [] }: SnapshotOptions): void {
  if (
    excludeDisks.length > 0 &&
    !configuration.disks.some(({ key, boot }) => boot && !excludeDisks.includes(key))
  )
    throw new Error(
      `Without the disks that the plan leaves out (${excludeDisks.join(', ')}), the VM has none to boot from. ` +
        'Take that disk out of excludeDisks.',
    );
}

/**
 * A snapshot that is there, as the port tells it. A disk's change marker is the snapshot's id: what was written since is
 * known to QEMU and to the VM's own files.
 */
export function vmSnapshot(
  configuration: VmConfiguration,
  record: SnapshotRecord,
  { consistency, excludeDisks = [] }: SnapshotOptions,
): VmSnapshot {
  const disks = record.disks.filter(({ key }) => !excludeDisks.includes(key));
  const has = (key: string): boolean => record.disks.some((disk) => disk.key === key);
  return {
    takenAt: record.takenAt,
    consistency: record.consistency,
    notes: [
      ...(consistency === 'quiesced' && record.consistency === 'crash'
        ? ['Guests of this data centre cannot be quiesced; the backup is as after a power cut.']
        : []),
      ...excludeDisks.map((key) =>
        has(key)
          ? `The disk "${key}" is not in the backup, as the plan says.`
          : `The plan leaves out a disk "${key}", which the VM does not have; it has ${record.disks.map((disk) => disk.key).join(', ')}.`,
      ),
    ],
    configuration: { ...configuration, disks },
    changeMarkers: Object.fromEntries(disks.map(({ key }) => [key, record.id])),
  };
}
