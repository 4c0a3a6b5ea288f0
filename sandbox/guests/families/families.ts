import type { VmConfiguration } from '../../../hypervisor/port';

/** Network of the sandbox's data centre that the sample VMs are on. */
const network = 'dc';
const sectorBytes = 512;
const mebibyte = 1024 ** 2;

/** A sample VM of another family than the shop's. */
export interface FamilyGuest {
  configuration: VmConfiguration;
  /** Whether it is made of the host's own release, or of the next where the host's mirrors have that. */
  release: 'own' | 'next';
  /** Packages besides those of all these guests and the kernel. */
  packages: string[];
  /** Whether files get SELinux labels. */
  labelled: boolean;
  /** What the disk says of itself; the guest has it in a file. */
  wwn?: string;
  /** The partition table, in the words of sfdisk. The second partition is where everything but the boot loader's is. */
  partitions: string;
  loader:
    | { firmware: 'bios'; prefix: string; modules: string[] }
    | { firmware: 'uefi'; espStart: number; espSectors: number; volumeId: string; entry: UefiEntry };
}

export interface UefiEntry {
  description: string;
  path: string;
  partitionGuid: string;
}

/** Packages of all these guests besides Debian's minimal base and the kernel. */
export const commonPackages = [
  'systemd-sysv',
  'udev',
  'dbus',
  'iproute2',
  'kmod',
  'dracut',
  'network-manager',
  'busybox-static', // acpid, and the machine that makes the disk
  'zstd', // compresses the initramfs
  'cpio',
];

const espStart = mebibyte / sectorBytes;
/** 64 MiB: FAT32, as firmware expects it, has 65,525 clusters at least. */
const espSectors = (64 * mebibyte) / sectorBytes;
const espGuid = '5e9f2f6c-3b4e-4d5c-9a3e-0c6f2f0a1b20';

/**
 * VMs of the families of Red Hat and SUSE, as near as Debian's packages come to them: dracut, xfs on LVM, btrfs with
 * subvolumes, boot entries of the Boot Loader Specification, UEFI, NetworkManager, SELinux; but Debian's kernel and GRUB.
 */
export const familyGuests = {
  'rhel-like': {
    configuration: {
      cpus: 1,
      memoryMiB: 512,
      firmware: 'bios',
      nics: [{ network, mac: '00:50:56:00:10:40' }],
      guestOs: 'rhel9-64',
      disks: [{ key: 'system', sizeBytes: 2560 * mebibyte, slot: 0, boot: true }],
    },
    release: 'own',
    packages: ['lvm2', 'xfsprogs', 'selinux-policy-default', 'policycoreutils'],
    labelled: true,
    wwn: '6000c29f5d0f3a11',
    // /boot of 320 MiB: mkfs.xfs makes none under 300.
    partitions: 'label: dos\nstart=2048, size=655360, type=83, bootable\nstart=657408, type=8e\n',
    loader: {
      firmware: 'bios',
      prefix: '(hd0,msdos1)/grub2',
      // What the boot menu's script calls, besides what every menu needs.
      modules: ['xfs', 'loadenv', 'regexp'],
    },
  },
  'suse-like': {
    configuration: {
      cpus: 1,
      memoryMiB: 512,
      firmware: 'uefi',
      nics: [{ network, mac: '00:50:56:00:10:50' }],
      guestOs: 'sles15-64',
      diskController: 'sata',
      disks: [{ key: 'system', sizeBytes: 2048 * mebibyte, slot: 0, boot: true }],
    },
    release: 'next',
    packages: ['btrfs-progs', 'dosfstools', 'grub-efi-amd64-signed', 'shim-signed'],
    labelled: false,
    partitions:
      `label: gpt\nstart=${espStart}, size=${espSectors}, type=U, uuid=${espGuid}\n` +
      `start=${espStart + espSectors}, type=L\n`,
    loader: {
      firmware: 'uefi',
      espStart,
      espSectors,
      volumeId: '56454D57',
      entry: { description: 'opensuse', path: '\\EFI\\debian\\shimx64.efi', partitionGuid: espGuid },
    },
  },
} satisfies Record<string, FamilyGuest>;

export type FamilyName = keyof typeof familyGuests;

export const familyNames = Object.keys(familyGuests) as FamilyName[];
