import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { debsIn, offered } from './apt.mjs';
import { SetupError, fetching, ifCalled, output, say } from './process.mjs';

/**
 * What judges what is done to a guest's boot: a tree with the real makers of initramfs, a real kernel with its modules, and the
 * tools that read boot loaders' files. Unpacked, with no script of any package run, and used by chroot: installed on this host,
 * dracut would take the place of the host's own initramfs-tools.
 */
const PACKAGES = [
  // What programs and scripts count on without saying so.
  ...['base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'diffutils', 'findutils', 'grep', 'hostname'],
  ...['libc-bin', 'mawk', 'ncurses-base', 'ncurses-bin', 'sed', 'tar', 'util-linux', 'mount'],
  'dracut-core', // dracut and lsinitrd
  'initramfs-tools-core', // mkinitramfs and unmkinitramfs
  ...['systemd-sysv', 'udev', 'kmod', 'login', 'lvm2', 'xfsprogs', 'e2fsprogs'], // what they put in
  ...['cpio', 'gzip', 'xz-utils', 'zstd', 'lz4', 'binutils'],
  'grub-common', // grub-script-check, grub-editenv
];
/** In a package of its own on some releases: bootctl, which reads entries of the Boot Loader Specification. */
const BOOTCTL = ['systemd-boot-tools', 'systemd-boot'];
/** Debian's, Ubuntu's. */
const KERNELS = ['linux-image-amd64', 'linux-image-virtual'];

/** Hundreds of MB of modules that no server's initramfs has. */
const MODULES_LEFT_OUT = [
  'sound',
  'drivers/gpu',
  'drivers/media',
  'drivers/infiniband',
  'drivers/staging',
].concat(['drivers/net/wireless', 'drivers/iio', 'drivers/usb', 'net/bluetooth']);

const RESULT = resolve('.lifeboat/tools/guest-boot');
const STAMP = 'lifeboat-packages.txt';

/** Brings the tree where it is missing. What this host cannot have is not needed: tests by it are skipped, and say so. */
export async function ensureBootTree(result = RESULT) {
  const wanted = `${[...PACKAGES, ...BOOTCTL, ...KERNELS, ...MODULES_LEFT_OUT].join('\n')}\n`;
  const stamp = join(result, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  mkdirSync(dirname(result), { recursive: true });
  const work = mkdtempSync(`${result}-`);
  try {
    const tree = join(work, 'tree');
    makeDirectories(tree);
    for (const deb of await download(join(work, 'debs'))) unpack(deb, tree);
    finish(tree);
    writeFileSync(join(tree, STAMP), wanted);
    rmSync(result, { recursive: true, force: true });
    renameSync(tree, result);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`tests by real makers of initramfs are skipped: ${error.message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The packages with all that they need, as APT chooses it for a host that has nothing. */
async function download(directory) {
  if (process.arch !== 'x64') throw new SetupError('their machines are x86-64.');
  const [kernel] = await offered(KERNELS);
  if (kernel === undefined) throw new SetupError(`APT has none of ${KERNELS.join(', ')}.`);
  mkdirSync(join(directory, 'partial'), { recursive: true });
  const nothing = join(directory, 'status');
  writeFileSync(nothing, '');
  await fetching('fetching what judges how guests boot', 'apt-get', [
    ...['install', '--download-only', '-y', '-q', '--no-install-recommends', '--no-install-suggests'],
    ...['-o', `Dir::State::status=${nothing}`, '-o', `Dir::Cache::archives=${directory}`],
    // Nothing of this host's is changed, so nothing of it need be held.
    ...['-o', 'Debug::NoLocking=true', '-o', 'APT::Sandbox::User=root'],
    ...[...PACKAGES, ...(await offered(BOOTCTL)).slice(0, 1), kernel],
  ]);
  return debsIn(directory);
}

/** /bin and its like are links, as on every distribution of today. */
function makeDirectories(tree) {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(tree, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(tree, name));
  }
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp']) mkdirSync(join(tree, name));
}

/** Puts a package's files into the tree; links to directories in it stay. */
function unpack(deb, tree) {
  const archive = `${deb}.tar`;
  const file = openSync(archive, 'w');
  try {
    execFileSync('dpkg-deb', ['--fsys-tarfile', deb], { stdio: ['ignore', file, 'inherit'] });
  } finally {
    closeSync(file);
  }
  execFileSync('tar', ['-xf', archive, '--keep-directory-symlink', '-C', tree]);
  rmSync(archive);
}

/** What packages' scripts would have done, as far as it is needed. */
function finish(tree) {
  const [release] = readdirSync(join(tree, 'usr/lib/modules'));
  if (release === undefined) throw new SetupError('the kernel’s package holds no modules.');
  for (const name of MODULES_LEFT_OUT)
    rmSync(join(tree, 'usr/lib/modules', release, 'kernel', name), { recursive: true, force: true });
  rmSync(join(tree, 'usr/share/doc'), { recursive: true, force: true });
  rmSync(join(tree, 'usr/share/locale'), { recursive: true, force: true });
  execFileSync('depmod', ['-b', tree, release]);
  for (const name of ['passwd', 'group'])
    writeFileSync(join(tree, 'etc', name), readFileSync(join(tree, `usr/share/base-passwd/${name}.master`)));
  if (!existsSync(join(tree, 'usr/bin/awk'))) symlinkSync('mawk', join(tree, 'usr/bin/awk'));
  symlinkSync('/proc/self/fd', join(tree, 'dev/fd'));
  if (output('mknod', ['-m', '666', join(tree, 'dev/null'), 'c', '1', '3']) === undefined)
    throw new SetupError('this host lets nobody make device nodes.');
}

// APT takes other directories than absolute ones for some below its own.
await ifCalled(import.meta.url, () => ensureBootTree(process.argv[2] && resolve(process.argv[2])));
