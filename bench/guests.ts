import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { Appliance } from '../guest/files/appliance/appliance';
import {
  CPIO_DIRECTORY,
  CPIO_FILE,
  CPIO_LINK,
  cpioArchive,
  type CpioEntry,
} from '../guest/linux/initramfs/cpio';
import { toolOutput } from '../host/run-tool';

/** Guests as small as they can be adapted, with an initramfs and modules of real ones' size. */
export type GuestKind = 'ext4' | 'xfs on LVM' | 'btrfs';

const RELEASE = '6.1.0-1-amd64';
const UUID = '5e9f2f6c-3b4e-4d5c-9a3e-0c6f2f0a1b2c';

/** Bytes of what makes a guest large. */
interface GuestSizes {
  initramfs: number;
  kernel: number;
  module: number;
}
/** Of an initramfs with most drivers, compressed. */
const REAL_SIZES: GuestSizes = { initramfs: 40 * 2 ** 20, kernel: 8 * 2 ** 20, module: 150 * 1024 };
const FIRST_BYTE = 2 ** 20;
const TOOL_SECONDS = 300;
const LVM = '/bin/lvm';

type Tree = Record<string, string | Uint8Array | { link: string }>;

/** Makes a raw disk with such a guest. */
export async function makeGuestDisk(
  kind: GuestKind,
  path: string,
  sizeMiB: number,
  directory: string,
  sizes = REAL_SIZES,
): Promise<void> {
  const source = await mkdtemp(join(directory, 'tree-'));
  await writeTree(kind === 'ext4' ? debian(sizes) : rhel(kind, sizes), source);
  await writeFile(path, '');
  await truncate(path, sizeMiB * 2 ** 20);
  const type = kind === 'xfs on LVM' ? '8e' : '83';
  await toolOutput('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', path], {
    input: Buffer.from(`label: dos\nstart=2048, type=${type}\n`),
  });
  if (kind === 'ext4') await writeExt4(path, source, sizeMiB);
  else await writeByAppliance(kind, path, source);
  await rm(source, { recursive: true });
}

async function writeExt4(path: string, source: string, sizeMiB: number): Promise<void> {
  await toolOutput('mke2fs', [
    ...['-q', '-F', '-t', 'ext4', '-U', UUID, '-d', source, '-E', `offset=${FIRST_BYTE},root_owner=0:0`],
    ...[path, `${(sizeMiB - 2) * 1024}k`],
  ]);
}

/** The tree travels as a disk that is an archive: nothing is mounted on this host. */
async function writeByAppliance(kind: GuestKind, path: string, source: string): Promise<void> {
  const archive = `${source}.tar`;
  await toolOutput('tar', ['-cf', archive, '--owner=0', '--group=0', '-C', source, '.']);
  const device = kind === 'btrfs' ? '/dev/nvme0n1p1' : '/dev/rhel/root';
  const type = kind === 'btrfs' ? 'btrfs' : 'xfs';
  const commands = [
    ...(kind === 'btrfs'
      ? [['/bin/mkfs.btrfs', '-q', '-U', UUID, device]]
      : [
          [LVM, 'pvcreate', '/dev/nvme0n1p1'],
          [LVM, 'vgcreate', 'rhel', '/dev/nvme0n1p1'],
          [LVM, 'lvcreate', '-y', '-n', 'root', '-l', '100%FREE', 'rhel'],
          ['/bin/mkfs.xfs', '-q', device],
        ]),
    ['/applets/modprobe', type],
    ['/applets/mkdir', '/guest/x'],
    ['/bin/busybox', 'mount', '-t', type, device, '/guest/x'],
    ['/bin/tar', '-xf', '/dev/nvme0n2', '-C', '/guest/x'],
    ['/bin/busybox', 'umount', '/guest/x'],
    ...(kind === 'btrfs' ? [] : [[LVM, 'vgchange', '-an']]),
  ];
  const appliance = await Appliance.start([path, archive], 'write');
  try {
    for (const command of commands) {
      const { exitCode, stderr } = await appliance.run(command, TOOL_SECONDS);
      if (exitCode !== 0) throw new Error(`${command.join(' ')} in the appliance: ${stderr}`);
    }
    await appliance.close();
  } finally {
    await appliance.kill();
    await rm(archive);
  }
}

async function writeTree(tree: Tree, directory: string): Promise<void> {
  for (const [name, content] of Object.entries(tree)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) await writeFile(path, content);
    else await symlink(content.link, path);
  }
}

function common(fstab: string, sizes: GuestSizes): Tree {
  const modules = `usr/lib/modules/${RELEASE}`;
  const drivers = ['nvme', 'nvme-core', 'ena', 'virtio_net', 'virtio_pci', 'vmw_pvscsi', 'sd_mod', 'vmxnet3'];
  return {
    lib: { link: 'usr/lib' },
    sbin: { link: 'usr/sbin' },
    'usr/sbin/init': { link: '../lib/systemd/systemd' },
    'usr/lib/systemd/systemd': 'systemd',
    'usr/lib/systemd/systemd-networkd': 'networkd',
    'usr/bin/curl': 'curl',
    'etc/fstab': fstab,
    'etc/hosts': '127.0.0.1 localhost\n192.168.10.20 web\n',
    'etc/resolv.conf': 'nameserver 192.168.10.1\n',
    'etc/systemd/network/10-ens192.network':
      '[Match]\nName=ens192\n[Network]\nAddress=192.168.10.20/24\nGateway=192.168.10.1\n',
    'etc/systemd/system/multi-user.target.wants/systemd-networkd.service': {
      link: '/lib/systemd/system/systemd-networkd.service',
    },
    [`boot/vmlinuz-${RELEASE}`]: noise('kernel', sizes.kernel),
    [`${modules}/modules.dep`]: drivers
      .map((name) => `kernel/${name}.ko:${name === 'nvme' ? ' kernel/nvme-core.ko' : ''}\n`)
      .join(''),
    [`${modules}/modules.builtin`]: '',
    ...Object.fromEntries(drivers.map((name) => [`${modules}/kernel/${name}.ko`, noise(name, sizes.module)])),
  };
}

function debian(sizes: GuestSizes): Tree {
  return {
    ...common(`UUID=${UUID} / ext4 errors=remount-ro 0 1\n`, sizes),
    'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    'usr/share/initramfs-tools/init': '#!/bin/sh\n',
    'etc/initramfs-tools/modules': 'vmw_pvscsi\n',
    'etc/default/grub': 'GRUB_CMDLINE_LINUX=""\n',
    'boot/grub/grub.cfg': `menuentry 'Debian' {\n\tlinux /boot/vmlinuz-${RELEASE} root=UUID=${UUID} ro\n\tinitrd /boot/initrd.img-${RELEASE}\n}\n`,
    [`boot/initrd.img-${RELEASE}`]: initramfs(
      {
        init: '#!/bin/sh\n',
        'scripts/functions': 'functions',
        'conf/initramfs.conf': 'MODULES=most\n',
        'usr/sbin/modprobe': 'kmod',
      },
      sizes,
    ),
  };
}

function rhel(kind: GuestKind, sizes: GuestSizes): Tree {
  const root = kind === 'btrfs' ? `UUID=${UUID}` : '/dev/mapper/rhel-root';
  return {
    ...common(`${root} / ${kind === 'btrfs' ? 'btrfs' : 'xfs'} defaults 0 0\n`, sizes),
    'etc/os-release': 'PRETTY_NAME="Rocky Linux 9"\nID=rocky\n',
    'usr/lib/dracut/dracut-functions.sh': '',
    'boot/grub2/grub.cfg': 'insmod blscfg\nblscfg\n',
    [`boot/loader/entries/0-${RELEASE}.conf`]: `title Rocky\nversion ${RELEASE}\nlinux /boot/vmlinuz-${RELEASE}\ninitrd /boot/initramfs-${RELEASE}.img\noptions root=${root} ro\n`,
    [`boot/initramfs-${RELEASE}.img`]: initramfs(
      {
        init: { link: 'usr/lib/systemd/systemd' },
        'usr/lib/systemd/systemd': 'systemd',
        'usr/lib/dracut/hooks/pre-udev/50-x.sh': '',
        'usr/bin/dracut-pre-udev': '#!/bin/sh\n',
        'usr/sbin/insmod': 'kmod',
      },
      sizes,
    ),
  };
}

/** Of a tree, with as much of what does not compress as makes it as large as real ones are. */
function initramfs(tree: Tree, { initramfs: bytes }: GuestSizes): Buffer {
  const entries = new Map<string, CpioEntry>();
  for (const [path, content] of Object.entries<Tree[string]>({
    ...tree,
    'usr/lib/firmware/x': noise('x', bytes),
  })) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const directory = parts.slice(0, depth).join('/');
      entries.set(directory, { path: directory, mode: CPIO_DIRECTORY, content: new Uint8Array() });
    }
    const isLink = typeof content === 'object' && 'link' in content;
    entries.set(path, {
      path,
      mode: isLink ? CPIO_LINK : CPIO_FILE,
      content: isLink ? Buffer.from(content.link) : Buffer.from(content),
    });
  }
  return zstdCompressSync(cpioArchive([...entries.values()]));
}

/** The same bytes each time, which nothing makes smaller. */
function noise(seed: string, bytes: number): Buffer {
  return createHash('shake256', { outputLength: bytes }).update(seed).digest();
}
