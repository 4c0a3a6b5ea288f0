import { type OtherDisks } from '../guest/port';
import { type DiskPlace } from '../machines/disk-place';

/** Where a VM's boot disk is among its disks, and its others, as a guest adapter is told. */
export function otherDisks<Disk extends DiskPlace>(
  disks: readonly Disk[],
  boot: Disk,
  pathOf: (disk: Disk) => string,
): OtherDisks & { slot: number } {
  return {
    ...placeOf(boot),
    dataDisks: disks
      .filter((disk) => disk !== boot)
      .map((disk) => ({ diskPath: pathOf(disk), ...placeOf(disk) })),
  };
}

function placeOf({ slot, controller }: DiskPlace): DiskPlace {
  return { slot, ...(controller === undefined ? {} : { controller }) };
}
