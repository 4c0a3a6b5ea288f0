import { type GuestFiles } from '../../files/port';
import { dracut } from './dracut';
import { type InitramfsImage } from './image';
import { initramfsTools } from './initramfs-tools';
import { type InitramfsMaker } from './maker';

/** Both may be installed: an image tells whose it is, and each gets its drivers for the next time. */
export const MAKERS: readonly InitramfsMaker[] = [dracut, initramfsTools];

/** Makers that are known and not supported, by what only their images or packages have. */
const OTHERS: { name: string; image: string[]; files: string[] }[] = [
  { name: 'mkinitcpio', image: ['buildconfig'], files: ['/usr/bin/mkinitcpio'] },
  { name: 'mkinitfs', image: [], files: ['/sbin/mkinitfs', '/usr/sbin/mkinitfs'] },
  { name: 'booster', image: ['etc/booster.init.yaml'], files: ['/usr/bin/booster'] },
];

export function makerOf(image: InitramfsImage): InitramfsMaker | undefined {
  return MAKERS.find((maker) => maker.made(image));
}

/** Name of a maker that is not supported; undefined where none is recognized. */
export function otherMakerOf(image: InitramfsImage): string | undefined {
  return OTHERS.find((other) => other.image.some((path) => image.has(path)))?.name;
}

export async function installedMakers(files: GuestFiles): Promise<InitramfsMaker[]> {
  const installed: InitramfsMaker[] = [];
  for (const maker of MAKERS) if (await maker.isInstalled(files)) installed.push(maker);
  return installed;
}

/** {@link otherMakerOf} for a guest without an image. */
export async function otherInstalledMaker(files: GuestFiles): Promise<string | undefined> {
  for (const { name, files: paths } of OTHERS) {
    for (const path of paths) if ((await files.realpath(path)) !== undefined) return name;
  }
  return undefined;
}
