import { type DiskConfiguration, VmRefusedError } from './port';

/** What a snapshot has in it, and a note for each disk that was to be left out. */
export interface Included {
  disks: DiskConfiguration[];
  notes: string[];
}

/**
 * Leaves the disks out that the plan excludes. Every adapter tells it in the same words.
 * @param shown what people call a disk at the primary site, where that is more than its key
 * @throws VmRefusedError where nothing is left to boot from; so ask before a snapshot is taken
 */
export function leaveOut(
  disks: readonly DiskConfiguration[],
  excludeDisks: readonly string[] = [],
  shown = (key: string): string => `"${key}"`,
): Included {
  const included = disks.filter(({ key }) => !excludeDisks.includes(key));
  if (excludeDisks.length > 0 && !included.some(({ boot }) => boot))
    throw new VmRefusedError(
      `Without the disks that the plan leaves out (${excludeDisks.join(', ')}), the VM has none to boot from. ` +
        'Take the disk that it boots from out of excludeDisks.',
    );
  const keys = disks.map(({ key }) => key);
  const notes = excludeDisks.map((key) =>
    keys.includes(key)
      ? `The disk ${shown(key)} is not backed up, as the plan says: on EC2, and at home where a failback makes the VM anew, it is missing.`
      : `The plan leaves out a disk "${key}", which the VM does not have; its disks are ${keys.join(', ')}.`,
  );
  return { disks: included, notes };
}
