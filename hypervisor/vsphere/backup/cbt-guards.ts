import { z } from 'zod';
import { type DiskDevice } from '../devices';

/**
 * Changed-block tracking has given wrong answers without an error, again and again; a backup that believes one is
 * damaged, and nobody knows. Whatever may make an answer wrong is looked for here, and the disk is read as a whole then.
 */

/** A disk's mark of an instant in its tracking, as the manifest of a backup keeps it. */
const markerSchema = z.strictObject({
  changeId: z.string(),
  /** The disk's own UUID: keys of devices are given again to other disks. */
  uuid: z.string(),
  capacity: z.number().int(),
});

export type ChangeMarker = z.infer<typeof markerSchema>;

export function writeMarker(marker: ChangeMarker): string {
  return JSON.stringify(marker);
}

/** @returns undefined for what this adapter did not write */
export function readMarker(text: string): ChangeMarker | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = markerSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** The tracking that a change id belongs to: it is `uuid/number`, and switching tracking off and on makes a new UUID. */
export function trackingLife(changeId: string): string {
  return changeId.slice(0, changeId.lastIndexOf('/'));
}

/** Why what has changed since the marker cannot be told; undefined where it can. */
export function whyMarkerIsVoid(marker: ChangeMarker, disk: DiskDevice): string | undefined {
  const { changeId } = disk.backing;
  if (changeId === undefined) return 'its changes are not tracked';
  if (marker.uuid !== disk.uuid) return 'it is another disk';
  // Trackers of several versions have lost changes when a disk grew (KB 310751).
  if (marker.capacity !== disk.sizeBytes) return 'its size has changed';
  if (trackingLife(marker.changeId) !== trackingLife(changeId)) return 'tracking was begun anew since';
  return undefined;
}

/**
 * Whether the disk's tracking is whole: with a snapshot that was taken before tracking was switched on, answers lack what was
 * written between (since vSphere 6.5 without an error: KB 1020128). Such a snapshot has no change id of this tracking.
 * @param standing disks of the VM's other snapshots
 */
export function trackedThroughout(disk: DiskDevice, standing: readonly DiskDevice[]): boolean {
  const { changeId } = disk.backing;
  if (changeId === undefined) return false;
  return standing
    .filter(({ uuid }) => uuid === disk.uuid)
    .every(
      ({ backing }) =>
        backing.changeId !== undefined && trackingLife(backing.changeId) === trackingLife(changeId),
    );
}

/** Why the tracking of a host's version is not believed; undefined where it is, and for a version that is not told. */
export function knownFault(version: string | undefined): string | undefined {
  if (version === undefined) return undefined;
  const [major = NaN, minor = NaN] = version.split('.').map(Number);
  if (major < 6)
    return 'tracking before ESXi 6.0 loses changes of disks that were extended (KB 310751, formerly 2090639)';
  if (major === 6 && minor === 0)
    return 'tracking in ESXi 6.0 loses changes while a snapshot is removed (KB 317933, formerly 2136854)';
  return undefined;
}
