import { type OperatingSystemFamily } from './family';
import { type GuestFiles } from './files/port';
import { initramfsToolsFamily } from './linux/initramfs-tools';
import { readOsRelease } from './linux/release';
import { GuestNotAdaptableError } from './port';

/** @throws GuestNotAdaptableError where the family is not supported yet; the message names it */
export async function detectFamily(files: GuestFiles): Promise<OperatingSystemFamily> {
  const release = await readOsRelease(files);
  const has = async (path: string) => (await files.realpath(path)) !== undefined;
  if (await has('/usr/share/initramfs-tools')) return initramfsToolsFamily(release.prettyName);
  const kind = (await has('/usr/lib/dracut'))
    ? 'dracut'
    : (await has('/etc/mkinitcpio.conf'))
      ? 'mkinitcpio'
      : (await has('/etc/mkinitfs'))
        ? 'mkinitfs'
        : undefined;
  throw new GuestNotAdaptableError(
    `The guest runs ${release.prettyName}, ` +
      (kind === undefined ? 'without initramfs-tools' : `whose initramfs is made by ${kind}`) +
      '; this is not supported yet. Debian and Ubuntu with initramfs-tools are.',
  );
}
