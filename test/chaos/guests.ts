import { emptyDisk, mount, onDisks, removeDisks, treeDisk } from '../unit/appliance-fixture';
import { debian, makeGuest, removeFixtures, ROOT_UUID } from '../unit/guest-fixture';
import { rocky } from '../unit/guest-rocky';
import { makeWindowsDisk, MBR } from '../unit/windows-fixture';
import { partition } from '../support/partition';

/** The families that VMs are drawn from: what they boot with, and who opens their disks, differs. */
export const GUESTS = ['debian', 'rocky', 'suse', 'windows'] as const;
export type Guest = (typeof GUESTS)[number];

/** As crypt(5) has it, sha512crypt; of no password. It is on every guest's disk, and must be nowhere else. */
export const PASSWORD_HASH =
  '$6$planted0salt0000$vQ1kCwT7mXh2bN9dLr5yPz8sJf4gUa6eKo3iRtBvWxYcMnDqEpHjGlSuZaOiFkT';

/** What all have: by which a launch copy asks EC2 at boot, and where Linux keeps passwords. */
const COMMON = { 'usr/bin/curl': 'curl', 'etc/shadow': `root:${PASSWORD_HASH}:20000:0:99999:7:::\n` };

const makers: Record<Guest, () => Promise<string>> = {
  debian: () =>
    Promise.resolve(makeGuest({ ...COMMON, 'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n` })),
  rocky: xfsOnLvm,
  suse: btrfsWithSubvolumes,
  windows: () => makeWindowsDisk(MBR, { 'WINDOWS/System32/config/SAM': PASSWORD_HASH }),
};

const made = new Map<Guest, Promise<string>>();

/**
 * The system disk of a guest, made once, as it takes seconds. None has an operating system that runs: only what the
 * adaptation looks at.
 */
export function systemDisk(guest: Guest): Promise<string> {
  const known = made.get(guest);
  if (known !== undefined) return known;
  const disk = makers[guest]();
  made.set(guest, disk);
  return disk;
}

export function removeSystemDisks(): void {
  made.clear();
  removeFixtures();
  removeDisks();
}

function partitioned(sizeMiB: number, type: string): string {
  const disk = emptyDisk(sizeMiB);
  partition(disk, `label: dos\nstart=2048, type=${type}, bootable\n`);
  return disk;
}

async function xfsOnLvm(): Promise<string> {
  const disk = partitioned(96, '8e');
  const tree = debian(rocky({ ...COMMON, 'etc/fstab': '/dev/mapper/rhel-root / xfs defaults 0 0\n' }));
  await onDisks(
    [disk, treeDisk(tree)],
    [
      ['/bin/lvm', 'pvcreate', '/dev/nvme0n1p1'],
      ['/bin/lvm', 'vgcreate', 'rhel', '/dev/nvme0n1p1'],
      ['/bin/lvm', 'lvcreate', '-y', '-n', 'root', '-l', '100%FREE', 'rhel'],
      // Smaller than what administrators are allowed to make.
      ['/bin/mkfs.xfs', '-q', '--unsupported', '/dev/rhel/root'],
      ...mount('xfs', '/dev/rhel/root', '/guest/x'),
      ['/bin/tar', '-xf', '/dev/nvme0n2', '-C', '/guest/x'],
      ['/bin/busybox', 'umount', '/guest/x'],
      ['/bin/lvm', 'vgchange', '-an'],
    ],
  );
  return disk;
}

async function btrfsWithSubvolumes(): Promise<string> {
  const disk = partitioned(128, '83');
  const tree = debian(
    rocky({
      ...COMMON,
      'etc/fstab': `UUID=${ROOT_UUID} / btrfs defaults 0 0\nUUID=${ROOT_UUID} /var btrfs subvol=/@/var 0 0\n`,
      'usr/lib/os-release': 'PRETTY_NAME="openSUSE Leap 15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n',
    }),
  );
  await onDisks(
    [disk, treeDisk(tree)],
    [
      ['/bin/mkfs.btrfs', '-q', '-U', ROOT_UUID, '/dev/nvme0n1p1'],
      ...mount('btrfs', '/dev/nvme0n1p1', '/guest/x'),
      ['/bin/btrfs', 'subvolume', 'create', '/guest/x/@'],
      ['/bin/btrfs', 'subvolume', 'create', '/guest/x/@/var'],
      ['/bin/btrfs', 'subvolume', 'set-default', '/guest/x/@'],
      ['/bin/tar', '-xf', '/dev/nvme0n2', '-C', '/guest/x/@'],
      ['/bin/busybox', 'umount', '/guest/x'],
    ],
  );
  return disk;
}
