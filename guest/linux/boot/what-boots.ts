import { nameOf } from '../../files/guest-path';
import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { otherInstalledMaker } from '../initramfs/makers';
import { type BootState, releaseOf } from './kernels';

/**
 * The release of the kernel that boots when nobody chooses.
 * @throws GuestNotAdaptableError where no kernel of the guest can, with the reason
 */
export async function whatBoots(files: GuestFiles, boot: BootState): Promise<string> {
  if (boot.grubConfigs.length === 0 && boot.blsEntries.length === 0) throw await otherBootLoader(files);
  const [first] = boot.kernels;
  if (first === undefined) throw await noImage(files);
  const { chosen } = boot;
  if (chosen === undefined) return first.release;
  const known = [...boot.kernels.map((one) => one.release), ...boot.withoutImage];
  const release = await releaseOf(files, chosen, known);
  if (
    release === undefined &&
    /^vmlinuz-\d/.test(nameOf(chosen.kernel)) &&
    (await files.realpath(chosen.kernel)) !== undefined
  ) {
    throw new GuestNotAdaptableError(
      `The guest boots ${chosen.kernel} (by ${chosen.source}), and /lib/modules has no directory for it, so its drivers are not there. ` +
        'Install that kernel again, or boot another one, and back the guest up again.',
    );
  }
  return release ?? first.release;
}

/** Kernels are where GRUB is not, or GRUB is where it cannot be seen. */
async function otherBootLoader(files: GuestFiles): Promise<GuestNotAdaptableError> {
  const has = async (path: string) => (await files.realpath(path)) !== undefined;
  const loader = (await has('/boot/extlinux/extlinux.conf'))
    ? 'extlinux (/boot/extlinux/extlinux.conf)'
    : (await has('/etc/lilo.conf'))
      ? 'LILO (/etc/lilo.conf)'
      : await onEfiPartition(files);
  return new GuestNotAdaptableError(
    `The guest has no grub.cfg in /boot/grub or /boot/grub2, and no entries in /boot/loader/entries${loader === undefined ? '' : `; it seems to boot by ${loader}`}. ` +
      'Boot loaders other than GRUB 2 are not supported yet.',
  );
}

async function noImage(files: GuestFiles): Promise<GuestNotAdaptableError> {
  const efi = await onEfiPartition(files);
  const maker = await otherInstalledMaker(files);
  const reason =
    efi !== undefined
      ? `They seem to boot by ${efi}, whose files are on the EFI system partition; this is not supported yet.`
      : maker !== undefined
        ? `The guest's initramfs is made by ${maker}; this is not supported yet.`
        : 'Make one in the guest ("update-initramfs -c -k all", or "dracut --regenerate-all") and back it up again.';
  return new GuestNotAdaptableError(
    `No kernel in /lib/modules has an initramfs in /boot (initrd.img-…, initramfs-….img, initrd-…). ${reason}`,
  );
}

/** systemd-boot and unified kernel images, by what kernel-install and SUSE's tools are told. */
async function onEfiPartition(files: GuestFiles): Promise<string | undefined> {
  const text = async (path: string): Promise<string> =>
    (await files.realpath(path)) === undefined ? '' : (await files.read(path, 64 * 1024)).toString('latin1');
  const layout = /^\s*layout\s*=\s*(uki|bls)\b/m.exec(await text('/etc/kernel/install.conf'))?.[1];
  if (layout === 'uki') return 'unified kernel images (/etc/kernel/install.conf)';
  if (layout === 'bls') return 'systemd-boot (/etc/kernel/install.conf)';
  const loader = /^\s*LOADER_TYPE\s*=\s*"?(systemd-boot|grub2-bls)\b/m.exec(
    await text('/etc/sysconfig/bootloader'),
  )?.[1];
  return loader === undefined ? undefined : `${loader} (/etc/sysconfig/bootloader)`;
}
