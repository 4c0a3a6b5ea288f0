// Makes the appliance: the kernel and initramfs that open guests' disks (docs/guests.md). Everything comes from packages
// of the host's own APT sources; they are unpacked, not installed. `node setup/appliance.mjs` makes it where it is missing
// or made by another version of this recipe; `--renew` makes it of the packages that the sources have now.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureAptPackages, fetchDebs, needed, offered, unpackDeb } from './apt.mjs';
import { SetupError, ifCalled, output, say } from './process.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const RESULT = resolve(here, '../.lifeboat/tools/appliance');

/** What unpacks and packs here. */
const HOST_PACKAGES = ['cpio', 'kmod', 'xz-utils', 'zstd'];

/** Kernels that have what virtual machines need, and the file systems of guests: Debian's, Ubuntu's. */
const KERNELS = ['linux-image-cloud-amd64', 'linux-image-virtual'];

/** Programs of the appliance, by package. mkfs and tar are for disks that tests make. */
const PROGRAMS = {
  'busybox-static': ['busybox'],
  'openssh-sftp-server': ['sftp-server'],
  'util-linux': ['blkid'],
  lvm2: ['lvm'],
  'thin-provisioning-tools': ['thin_check'],
  e2fsprogs: ['e2fsck', 'mke2fs'],
  xfsprogs: ['xfs_repair', 'mkfs.xfs', 'xfs_db'],
  'btrfs-progs': ['btrfs', 'mkfs.btrfs'],
  'ntfs-3g': ['lowntfs-3g', 'ntfs-3g.probe', 'ntfsrecover', 'ntfsresize', 'mkntfs'],
  attr: ['setfattr', 'getfattr'],
  tar: ['tar'],
};

/** Modules, with all that they need; what a kernel has built in is none. */
const MODULES = [
  ...['virtio_pci', 'virtio_console', 'nvme'],
  ...['ext4', 'xfs', 'btrfs', 'vfat', 'nls_cp437', 'nls_ascii', 'nls_iso8859-1', 'nls_utf8', 'fuse'],
  ...['dm_mod', 'dm_mirror', 'dm_snapshot', 'dm_thin_pool', 'dm_raid'],
  ...['crc32c_generic', 'crc32c-intel', 'xxhash_generic', 'sha256_generic', 'blake2b_generic'],
];

/** No udev, no daemons, no record of what was done: the appliance lives for a minute, and has this one task. */
const LVM_CONF = `devices { dir="/dev" scan=["/dev"] use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" }
global { use_lvmpolld=0 use_lvmlockd=0 locking_type=1 thin_check_executable="/bin/thin_check" }
activation { udev_sync=0 udev_rules=0 monitoring=0 verify_udev_operations=0 }
backup { backup=0 archive=0 }
`;

/**
 * Which users of Windows ours are, for lowntfs-3g: it gives a new file its directory's rights, as Windows would do, only where it
 * is told so. Root is its own Administrators; no other user exists here, so that the identifier stands for none.
 */
const NTFS_USERS = '::S-1-5-21-1111111111-1111111111-1111111111-10000\n';

const RECIPE = createHash('sha256')
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .update(readFileSync(join(here, 'appliance/init')))
  .digest('hex');

/** Makes the appliance unless this recipe's is there. */
export async function ensureAppliance(renew = false) {
  const stamp = join(RESULT, 'stamp.json');
  if (!renew && existsSync(stamp) && JSON.parse(readFileSync(stamp, 'utf8')).recipe === RECIPE) return;
  if (process.arch !== 'x64') throw new SetupError('the appliance is made on x86-64 hosts only.');
  await ensureAptPackages(HOST_PACKAGES);
  mkdirSync(dirname(RESULT), { recursive: true });
  const work = mkdtempSync(`${RESULT}-`);
  try {
    const packages = await unpackPackages(work);
    say('making the appliance');
    const kernel = makeTree(join(work, 'root'), join(work, 'tree'));
    mkdirSync(join(work, 'result'));
    copyFileSync(kernel.image, join(work, 'result/kernel'));
    packTree(join(work, 'tree'), join(work, 'result/initramfs'));
    for (const name of ['kernel', 'initramfs']) chmodSync(join(work, 'result', name), 0o644);
    writeFileSync(
      join(work, 'result/stamp.json'),
      `${JSON.stringify({ recipe: RECIPE, kernel: kernel.release, packages }, null, 1)}\n`,
    );
    rmSync(RESULT, { recursive: true, force: true });
    renameSync(join(work, 'result'), RESULT);
    chmodSync(RESULT, 0o755);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads the packages and unpacks them to `work`/root; returns their versions. */
async function unpackPackages(work) {
  const [kernel] = await offered(KERNELS);
  if (kernel === undefined)
    throw new SetupError(
      `the appliance needs a kernel, and this host's APT sources have none of: ${KERNELS.join(', ')}.`,
    );
  const names = Object.keys(PROGRAMS);
  const known = new Set(await offered(names));
  const missing = names.filter((name) => !known.has(name));
  if (missing.length > 0)
    throw new SetupError(`this host's APT sources lack what the appliance needs: ${missing.join(', ')}.`);
  // The package with the kernel that the meta package stands for, and those with its modules.
  const ofKernel = needed([kernel], /^linux-(image|modules)(-unsigned)?-\d/);
  const wanted = [...new Set([...names, ...needed(names, /^lib/), ...ofKernel])];
  const what = `fetching the appliance's ${wanted.length} packages`;
  const versions = {};
  mkdirSync(join(work, 'root'));
  for (const deb of await fetchDebs(what, wanted, join(work, 'debs'))) {
    unpackDeb(deb, join(work, 'root'));
    const told = execFileSync('dpkg-deb', ['-W', '--showformat=${Package} ${Version}', deb], {
      encoding: 'utf8',
    });
    const [name, version] = told.split(' ');
    versions[name] = version;
  }
  return versions;
}

/** Puts the appliance's files together; returns the kernel's release and image. */
function makeTree(root, tree) {
  const found = findFiles(root);
  for (const directory of ['applets', 'dev', 'proc', 'sys', 'tmp', 'run', 'guest', 'bin', 'sbin', 'etc/lvm'])
    mkdirSync(join(tree, directory), { recursive: true });
  const loader = [...found.keys()].find((path) => /^\/(usr\/)?lib64\/ld-linux-x86-64\.so\.2$/.test(path));
  if (loader === undefined) throw new SetupError('the packages hold no dynamic loader for x86-64.');
  const libraryPath = ['lib', 'usr/lib'].map((lib) => join(root, lib, 'x86_64-linux-gnu')).join(':');
  for (const [name, programs] of Object.entries(PROGRAMS)) {
    for (const program of programs) {
      const path = [...found.keys()].find((one) =>
        new RegExp(`^/(usr/)?(s?bin|lib/openssh)/${program}$`).test(one),
      );
      if (path === undefined) throw new SetupError(`package ${name} holds no program ${program}.`);
      // One place for each, wherever the distribution has it: /bin and /sbin are one.
      const target = program === 'sftp-server' ? '/usr/lib/openssh/sftp-server' : `/bin/${program}`;
      copy(join(root, path), join(tree, target), 0o755);
      for (const library of libraries(join(root, loader), libraryPath, join(root, path))) {
        const at = join(tree, 'lib/x86_64-linux-gnu', basename(library));
        if (!existsSync(at)) copy(library, at, 0o755);
      }
    }
  }
  copy(join(root, loader), join(tree, 'lib64/ld-linux-x86-64.so.2'), 0o755);
  symlinkSync('/bin/busybox', join(tree, 'sbin/modprobe'));
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  writeFileSync(join(tree, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(tree, 'etc/lvm/lvm.conf'), LVM_CONF);
  writeFileSync(join(tree, 'etc/ntfs-users'), NTFS_USERS);
  // Programs of ntfs-3g look there for whether a device is in use.
  symlinkSync('/proc/mounts', join(tree, 'etc/mtab'));
  copy(join(here, 'appliance/init'), join(tree, 'init'), 0o755);
  return copyModules(root, tree);
}

/** Shared libraries of a program, as the packages' own loader finds them. */
function libraries(loader, libraryPath, program) {
  const listed = output(loader, ['--library-path', libraryPath, '--list', program]);
  // The loader refuses a program that is linked statically.
  if (listed === undefined) return [];
  const missing = /^\s*(\S+) => not found/m.exec(listed);
  if (missing)
    throw new SetupError(
      `${basename(program)} needs ${missing[1]}, which no package of the appliance holds.`,
    );
  return [...listed.matchAll(/ => (\/\S+) \(0x/g)].map((match) => match[1]);
}

function copyModules(root, tree) {
  const modules = ['lib/modules', 'usr/lib/modules'].map((path) => join(root, path)).find(existsSync);
  const release = modules && readdirSync(modules)[0];
  const image = join(root, 'boot', `vmlinuz-${release}`);
  if (release === undefined || !existsSync(image))
    throw new SetupError("the kernel's package holds no kernel.");
  const target = join(tree, 'lib/modules', release);
  const base = dirname(dirname(modules));
  execFileSync('depmod', ['-b', base, release]);
  for (const module of MODULES) {
    const needed = output('modprobe', ['-d', base, '-S', release, '--show-depends', module]);
    for (const [, path] of needed?.matchAll(/^insmod (\S+)/gm) ?? []) {
      const at = join(target, path.slice(path.indexOf(`/${release}/`) + release.length + 2));
      copy(path, at, 0o644);
      // Decompressed here, once, and not under emulation at every start.
      if (at.endsWith('.xz')) execFileSync('xz', ['-d', at]);
      if (at.endsWith('.zst')) execFileSync('zstd', ['-q', '-d', '--rm', at]);
      dropSignature(at.replace(/\.(xz|zst)$/, ''));
    }
  }
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    if (existsSync(join(modules, release, name)))
      copy(join(modules, release, name), join(target, name), 0o644);
  }
  execFileSync('depmod', ['-b', tree, release]);
  return { release, image };
}

/** What stands at the end of a signed module: behind the signature, and behind 12 bytes that end with its length (big endian). */
const SIGNED = '~Module signature appended~\n';
const SIGNATURE_INFO_BYTES = 12;

/**
 * Cuts the signature off a module. The kernel would check it, over megabytes and under emulation, at every start: a quarter of a
 * second for xfs. The packages that the modules are from were verified by APT, and the initramfs that holds them is not signed.
 */
function dropSignature(path) {
  const module = readFileSync(path);
  const info = module.length - SIGNED.length - SIGNATURE_INFO_BYTES;
  if (module.toString('latin1', info + SIGNATURE_INFO_BYTES) !== SIGNED) return;
  writeFileSync(path, module.subarray(0, info - module.readUInt32BE(info + 8)));
}

function packTree(tree, result) {
  const names = execFileSync('find', ['.', '-print0'], { cwd: tree });
  const archive = execFileSync('cpio', ['-0', '-o', '-H', 'newc', '-R', '0:0', '--quiet'], {
    cwd: tree,
    input: names,
    maxBuffer: 512 * 1024 * 1024,
  });
  writeFileSync(result, archive);
}

/** Paths of all files and links below a directory. */
function findFiles(root) {
  const found = new Map();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(root.length), path);
  }
  return found;
}

function copy(from, to, mode) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(realpathSync(from), to);
  chmodSync(to, mode);
}

await ifCalled(import.meta.url, () => ensureAppliance(process.argv.includes('--renew')));
