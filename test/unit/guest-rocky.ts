import { type debian, DRACUT, INITRAMFS, initramfs, KERNEL, ROOT_UUID } from './guest-fixture';

export const FSTAB = {
  'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n`,
  // A card that is not there on EC2 is told of.
  'etc/systemd/network/20-lo.network': undefined,
};
export const CONSOLE = 'console=tty0 console=ttyS0,115200';
export const ENTRY = '/boot/loader/entries/0123456789abcdef-6.1.0-1-amd64.conf';
export const IMAGE = `/boot/initramfs-${KERNEL}.img`;
type Changes = Parameters<typeof debian>[0];

export const grubenv = (values: string): string => `# GRUB Environment Block\n${values}`.padEnd(1024, '#');
export const entry = (release: string, options: string): string =>
  `title Rocky Linux (${release}) 9\nversion ${release}\nlinux /boot/vmlinuz-${release}\ninitrd /boot/initramfs-${release}.img $tuned_initrd\noptions ${options}\n`;

/** What looks like RHEL 8 and 9 where it matters. */
export function rocky(changes: Changes = {}): Changes {
  return {
    ...FSTAB,
    'usr/lib/os-release': 'PRETTY_NAME="Rocky Linux 9"\nID=rocky\n',
    'usr/share/initramfs-tools/init': undefined,
    'etc/initramfs-tools/modules': undefined,
    'usr/lib/dracut/dracut-functions.sh': '',
    'etc/dracut.conf.d/10-hardware.conf': 'hostonly="yes"\n',
    [INITRAMFS.slice(1)]: undefined,
    [IMAGE.slice(1)]: initramfs(undefined, undefined, DRACUT),
    'boot/grub/grub.cfg': undefined,
    'boot/grub2/grub.cfg': 'set default="${saved_entry}"\ninsmod blscfg\nblscfg\n',
    'boot/grub2/grubenv': grubenv(
      `saved_entry=0123456789abcdef-${KERNEL}\nkernelopts=root=/dev/sda1 ro quiet\n`,
    ),
    [ENTRY.slice(1)]: entry(KERNEL, `root=UUID=${ROOT_UUID} ro $tuned_params`),
    'etc/kernel/cmdline': `root=UUID=${ROOT_UUID} ro\n`,
    ...changes,
  };
}
