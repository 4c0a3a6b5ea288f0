import { type SnapshotOptions, type VmConfiguration, type VmSnapshot } from '../../port';
import { type SnapshotRecord } from './snapshot-record';

/**
 * A snapshot that is there, as the port tells it. A disk's change marker is the snapshot's id: what was written since is
 * known to QEMU and to the VM's own files.
 * @throws Error where what is asked leaves nothing to boot from
 */
export function vmSnapshot(
  configuration: VmConfiguration,
  record: SnapshotRecord,
  { consistency, excludeDisks = [] }: SnapshotOptions = {},
): VmSnapshot {
  const disks = record.disks.filter(({ key }) => !excludeDisks.includes(key));
  if (!disks.some(({ boot }) => boot))
    throw new Error('Without the disks that the plan leaves out, the VM has none to boot from.');
  const leftOut = record.disks.filter((disk) => !disks.includes(disk)).map(({ key }) => key);
  return {
    takenAt: record.takenAt,
    consistency: record.consistency,
    notes: [
      ...(consistency === 'quiesced' && record.consistency === 'crash'
        ? ['Guests of this data centre cannot be quiesced; the backup is as after a power cut.']
        : []),
      ...leftOut.map((key) => `The disk "${key}" is not in the backup, as the plan says.`),
    ],
    configuration: { ...configuration, disks },
    changeMarkers: Object.fromEntries(disks.map(({ key }) => [key, record.id])),
  };
}
