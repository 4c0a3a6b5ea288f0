import { type DeviceNames } from '../../disk/device-names';
import { type DiskContent } from '../../disk/guest-disks';
import { type GuestFiles } from '../../files/port';
import { learnMapped } from './crypttab';
import { parseFstab } from './fstab';
import { learnFromDevicesFiles } from './lvm';

const MAX_TEXT_BYTES = 1024 * 1024;

/** Reads what the guest's own files say of its disks, before any of their names is judged. */
export async function learnDisks(files: GuestFiles, root: DiskContent, names: DeviceNames): Promise<void> {
  const text = async (path: string): Promise<string> =>
    (await files.realpath(path)) === undefined
      ? ''
      : (await files.read(path, MAX_TEXT_BYTES)).toString('latin1');
  const fstab = parseFstab(await text('/etc/fstab'));
  names.learnRoot(
    root,
    fstab.filter((entry) => entry.mountPoint === '/').map((entry) => entry.device),
  );
  // GRUB's installation of older times: (hd0) is the disk that it boots from.
  for (const line of (await text('/boot/grub/device.map')).split('\n')) {
    const device = /^\s*\(hd0\)\s+(\S+)/.exec(line)?.[1];
    if (device !== undefined) names.learnBootDisk(device);
  }
  await learnFromDevicesFiles(files, names);
  for (const entry of fstab) names.claim(entry.device);
  learnMapped(await text('/etc/crypttab'), names);
}
