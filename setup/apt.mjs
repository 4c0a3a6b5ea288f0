import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
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
  await updateLists({ env });
  await fetching(
    `installing ${missing.join(' ')}`,
    'apt-get',
    ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing],
    { env },
  );
}

const updateLists = (options = {}) =>
  fetching('updating package lists', 'apt-get', ['update', '-q'], options);

/** Those of the packages that the APT sources have; where they seem to have none, their lists are updated first. */
export async function offered(names) {
  const found = inSources(names);
  if (found.length > 0) return found;
  await updateLists();
  return inSources(names);
}

function inSources(names) {
  const policy = output('apt-cache', ['policy'].concat(names)) || '';
  return [...policy.matchAll(/^(\S+):\n.*\n {2}Candidate: (?!\(none\))/gm)].map(([, name]) => name);
}

/**
 * Names of all packages that these need, directly or not, as far as they match and the APT sources have them.
 * @throws SetupError
 */
export function needed(names, pattern) {
  const kinds = ['suggests', 'recommends', 'conflicts', 'breaks', 'replaces', 'enhances'];
  const args = ['depends', '--recurse', ...kinds.map((kind) => `--no-${kind}`), ...names];
  const found = output('apt-cache', args);
  if (found === undefined) throw new SetupError(`APT does not tell what ${names.join(', ')} need.`);
  return inSources(found.split('\n').filter((line) => pattern.test(line)));
}

/**
 * Fetches packages into a directory, which is made, to be unpacked and not installed.
 * @param what says so to a person
 * @returns promise of the files
 */
export async function fetchDebs(what, names, directory) {
  mkdirSync(directory, { recursive: true });
  // APT's own user may not write there.
  const args = ['-q', 'download', '-o', 'APT::Sandbox::User=root', ...names];
  const fetch = () => fetching(what, 'apt-get', args, { cwd: directory });
  await fetch().catch(async (error) => {
    if (!(error instanceof SetupError)) throw error;
    // Lists of some days ago name versions that are gone.
    await updateLists();
    await fetch();
  });
  return debsIn(directory);
}

export const debsIn = (directory) =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(directory, name));

/** Puts a package's files into a directory. @throws SetupError */
export function unpackDeb(deb, directory) {
  try {
    execFileSync('dpkg-deb', ['-x', deb, directory], { stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    throw new SetupError(`${deb} cannot be unpacked: ${error.message}`);
  }
}
