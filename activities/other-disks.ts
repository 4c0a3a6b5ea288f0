import { GuestNotAdaptableError, type OtherDisks } from '../guest/port';
import { type DiskPlace } from '../machines/disk-place';

/**
 * A VM's disks, as a guest adapter is told. @throws GuestNotAdaptableError where none is there to boot from
 */
export function guestDisks<Disk extends DiskPlace & { boot: boolean }>(
  disks: readonly Disk[],
  pathOf: (disk: Disk) => string,
): OtherDisks & { diskPath: string } {
  const boot = disks.find((disk) => disk.boot);
  if (boot === undefined) throw new GuestNotAdaptableError('The VM has no disk to boot from.');
  return { diskPath: pathOf(boot), ...otherDisks(disks, boot, pathOf) };
}

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
