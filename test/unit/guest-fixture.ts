import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  writeSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { partition } from '../support/partition';

/**
 * Disks with a small tree that looks like Debian where it matters, made by mke2fs and sfdisk and looked into by debugfs:
 * by nothing of the code under test.
 */

export const KERNEL = '6.1.0-1-amd64';
export const INITRAMFS = `/boot/initrd.img-${KERNEL}`;
export const ROOT_UUID = '11111111-1111-4111-8111-111111111111';
export const DATA_UUID = '22222222-2222-4222-8222-222222222222';
export const BOOT_UUID = '33333333-3333-4333-8333-333333333333';
export const FIRST_SECTOR = 2048;

/** A file's content, or a symbolic link as `{ link }`. */
export type Tree = Record<string, string | Uint8Array | { link: string }>;

export const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-guest-'));
let images = 0;

export function removeFixtures(): void {
  rmSync(directory, { recursive: true, force: true });
}

export function newPath(): string {
  return join(directory, `disk-${++images}.raw`);
}

/** What an image of initramfs-tools has besides modules, as far as it matters. */
export const INITRAMFS_TOOLS: Tree = {
  init: '#!/bin/sh\n. /scripts/functions\n',
  'scripts/functions': 'functions',
  'conf/initramfs.conf': 'MODULES=most\n',
  'conf/conf.d/zz-other': '',
  sbin: { link: 'usr/sbin' },
  'usr/sbin/modprobe': { link: '../bin/kmod' },
  'usr/bin/kmod': 'kmod',
  // The list of all modules of the kernel is copied, in the initramfs or not.
  'usr/lib/modules.order': 'kernel/drivers/scsi/vmw_pvscsi.ko\nkernel/drivers/nvme/host/nvme.ko\n',
};

/** What an image of dracut has, with its own init or systemd's. */
export const DRACUT: Tree = {
  init: { link: 'usr/lib/systemd/systemd' },
  lib: { link: 'usr/lib' },
  sbin: { link: 'usr/sbin' },
  'usr/lib/systemd/systemd': 'systemd',
  'usr/lib/dracut/hooks/pre-udev/50-other.sh': '',
  'usr/lib/dracut/hooks/emergency/x.sh': '',
  'usr/bin/dracut-pre-udev': '#!/bin/sh\n',
  'usr/sbin/insmod': { link: '../bin/kmod' },
  'usr/bin/kmod': 'kmod',
};

/** An initramfs: an archive, compressed, after an uncompressed one as microcode is. Modules are in it as files. */
export function initramfs(
  modules = ['vmw_pvscsi.ko', 'sd_mod.ko'],
  compress = zstdCompressSync as (data: Buffer) => Buffer,
  tree: Tree = INITRAMFS_TOOLS,
): Buffer {
  const held = Object.fromEntries(modules.map((name) => [`usr/lib/modules/${name}`, `code of ${name}`]));
  return Buffer.concat([
    archive({ 'kernel/x86/microcode': 'microcode' }),
    compress(archive({ ...tree, ...held })),
  ]);
}

/** A tree as cpio packs it. */
export function archive(tree: Tree): Buffer {
  const source = makeTree(tree);
  const names = execFileSync('find', ['.'], { cwd: source });
  const packed = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: source, input: names });
  rmSync(source, { recursive: true });
  return packed;
}

/** Made by tools, and the same for every guest. */
let usual: Buffer | undefined;
let nvme: Buffer | undefined;

export function debian(
  changes: Record<string, string | Uint8Array | { link: string } | undefined> = {},
): Tree {
  const modules = `usr/lib/modules/${KERNEL}`;
  const tree: typeof changes = {
    'etc/os-release': { link: '../usr/lib/os-release' },
    'usr/lib/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    lib: { link: 'usr/lib' },
    sbin: { link: 'usr/sbin' },
    'usr/sbin/init': { link: '../lib/systemd/systemd' },
    'usr/lib/systemd/systemd': 'systemd',
    'usr/lib/systemd/systemd-networkd': 'networkd',
    'usr/share/initramfs-tools/init': '#!/bin/sh\n',
    'etc/initramfs-tools/modules': '# modules\nvmw_pvscsi\n',
    'etc/fstab': `UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1\n/dev/sdb1\t/srv ext4 defaults 0 2\ntmpfs /tmp tmpfs defaults 0 0\n`,
    'etc/hosts': '127.0.0.1 localhost\n192.168.10.30 db cache # the database\n192.168.10.20 web\n',
    'etc/resolv.conf': 'search shop.example\nnameserver 192.168.10.1\n',
    'etc/default/grub': 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="net.ifnames=1"\n',
    'etc/systemd/network/10-ens192.network':
      '[Match]\nName=ens192\n[Network]\nAddress=192.168.10.20/24\nGateway=192.168.10.1\n',
    'etc/systemd/network/20-lo.network': '[Match]\nName=dummy0\n[Network]\nAddress=10.9.9.9/32\n',
    'etc/systemd/system/multi-user.target.wants/systemd-networkd.service': {
      link: '/lib/systemd/system/systemd-networkd.service',
    },
    'etc/udev/rules.d/70-persistent-net.rules':
      'SUBSYSTEM=="net", ATTR{address}=="00:50:56:00:00:01", NAME="eth0"\n',
    'boot/grub/grub.cfg': `menuentry 'Debian' {\n\tset root='hd0,msdos1'\n\tlinux\t/boot/vmlinuz-${KERNEL} root=/dev/sda1 ro quiet\n\tinitrd\t${INITRAMFS}\n}\n`,
    [INITRAMFS.slice(1)]: (usual ??= initramfs()),
    'var/lib/dpkg/status': 'Package: base-files\n',
    [`${modules}/modules.dep`]: [
      'kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko kernel/lib/crc64.ko.gz',
      'kernel/drivers/nvme/host/nvme-core.ko: kernel/lib/crc64.ko.gz',
      'kernel/lib/crc64.ko.gz:',
      'kernel/drivers/net/ethernet/amazon/ena/ena.ko.zst:',
      'kernel/drivers/net/virtio_net.ko:',
      'kernel/drivers/scsi/vmw_pvscsi.ko:',
      'kernel/drivers/scsi/sd_mod.ko:',
      'kernel/drivers/net/vmxnet3/vmxnet3.ko:',
      '',
    ].join('\n'),
    [`${modules}/modules.builtin`]: 'kernel/drivers/virtio/virtio_pci.ko\n',
    [`${modules}/kernel/drivers/nvme/host/nvme.ko.xz`]: (nvme ??= execFileSync('xz', ['-c'], {
      input: 'code of nvme',
    })),
    [`${modules}/kernel/drivers/nvme/host/nvme-core.ko`]: 'code of nvme-core',
    [`${modules}/kernel/lib/crc64.ko.gz`]: gzipSync('code of crc64'),
    [`${modules}/kernel/drivers/net/ethernet/amazon/ena/ena.ko.zst`]: zstdCompressSync(
      Buffer.from('code of ena'),
    ),
    [`${modules}/kernel/drivers/net/virtio_net.ko`]: 'code of virtio_net',
    [`${modules}/kernel/drivers/scsi/vmw_pvscsi.ko`]: 'code of vmw_pvscsi',
    [`${modules}/kernel/drivers/scsi/sd_mod.ko`]: 'code of sd_mod',
    [`${modules}/kernel/drivers/net/vmxnet3/vmxnet3.ko`]: 'code of vmxnet3',
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(tree).filter((entry): entry is [string, Tree[string]] => entry[1] !== undefined),
  );
}

export interface FixturePartition {
  tree?: Tree;
  sizeMiB: number;
  uuid?: string;
  /** sfdisk's name of the type. */
  type?: string;
  features?: string;
}

/** Makes a whole disk; partitions with a tree hold ext4, the others what was written to them later. */
export function makeDisk(partitions: FixturePartition[], label: 'dos' | 'gpt' = 'dos'): string {
  const path = newPath();
  const total = partitions.reduce((sum, one) => sum + one.sizeMiB, 2);
  writeFileSync(path, '');
  truncateSync(path, total * 1024 * 1024);
  const lines = partitions.map((one) => `size=${one.sizeMiB}MiB${one.type ? `, type="${one.type}"` : ''}`);
  partition(path, `label: ${label}\n${lines.join('\n')}\n`);
  let startMiB = 1;
  for (const partition of partitions) {
    if (partition.tree !== undefined) makeFileSystem(path, startMiB, partition);
    startMiB += partition.sizeMiB;
  }
  return path;
}

/** A guest of one partition, as most tests need it. */
export function makeGuest(changes: Parameters<typeof debian>[0] = {}, sizeMiB = 24): string {
  return makeDisk([{ tree: debian(changes), sizeMiB, uuid: ROOT_UUID }]);
}

export function makeDataDisk(): string {
  return makeDisk([{ tree: { 'data/orders': 'orders' }, sizeMiB: 4, uuid: DATA_UUID }]);
}

function makeTree(tree: Tree): string {
  const source = mkdtempSync(join(directory, 'tree-'));
  for (const [name, content] of Object.entries(tree)) {
    const target = join(source, name);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(target, content);
    else symlinkSync(content.link, target);
  }
  return source;
}

function makeFileSystem(
  path: string,
  startMiB: number,
  { tree = {}, sizeMiB, uuid, features }: FixturePartition,
): void {
  const source = makeTree(tree);
  execFileSync(
    'mke2fs',
    [
      ...['-q', '-F', '-t', 'ext4', '-b', '1024', '-d', source],
      ...['-E', `offset=${startMiB * 1024 * 1024},root_owner=0:0`],
      ...(uuid === undefined ? [] : ['-U', uuid]),
      ...(features === undefined ? [] : ['-O', features]),
      path,
      `${sizeMiB * 1024}k`,
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  rmSync(source, { recursive: true });
}

/** Runs debugfs commands on a partition that begins at a MiB. */
export function debugfs(disk: string, commands: string[], startMiB = 1): string {
  return execFileSync('debugfs', ['-w', '-f', '-', `${disk}?offset=${startMiB * 1024 * 1024}`], {
    input: `${commands.join('\n')}\n`,
    stdio: ['pipe', 'pipe', 'ignore'],
  }).toString('latin1');
}

export function read(disk: string, path: string, startMiB = 1): Buffer {
  const target = join(directory, 'read');
  rmSync(target, { force: true });
  debugfs(disk, [`dump ${path} ${target}`], startMiB);
  return readFileSync(target);
}

export function text(disk: string, path: string, startMiB = 1): string {
  return read(disk, path, startMiB).toString('latin1');
}

/** Replaces a file, as a person in the guest would. */
export function write(disk: string, path: string, content: string | Uint8Array): void {
  const source = join(directory, 'write');
  writeFileSync(source, content);
  debugfs(disk, [`rm ${path}`, `write ${source} ${path}`]);
}

/** A guest's files as a directory of this host, for tools that read a root directory. */
export function unpackedGuest(disk: string): string {
  const target = mkdtempSync(join(directory, 'unpacked-guest-'));
  debugfs(disk, [`rdump / ${target}`]);
  return target;
}

/** Everything in a file system: type, mode, owner, content or target of each path. */
export function listing(disk: string, startMiB = 1): Record<string, string> {
  const target = mkdtempSync(join(directory, 'listing-'));
  debugfs(disk, [`rdump / ${target}`], startMiB);
  const found: Record<string, string> = {};
  const walk = (at: string): void => {
    for (const name of readdirSync(join(target, at))) {
      const path = `${at}/${name}`;
      const stat = lstatSync(join(target, path));
      const owner = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`;
      if (stat.isSymbolicLink()) found[path] = `link ${readlinkSync(join(target, path))}`;
      else if (stat.isDirectory()) {
        found[path] = `directory ${owner}`;
        walk(path);
      } else found[path] = `file ${owner} ${sha256(readFileSync(join(target, path)))}`;
    }
  };
  walk('');
  rmSync(target, { recursive: true });
  return found;
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

export function diskDigest(disk: string): string {
  return sha256(readFileSync(disk));
}

/** The same without the superblock of the first partition, where e2fsck leaves the time even if it finds nothing. */
export function digestBesidesSuperblock(disk: string): string {
  const content = readFileSync(disk);
  const superblock = FIRST_SECTOR * 512 + 1024;
  return sha256(content.fill(0, superblock, superblock + 1024));
}

/** What an uncompressed archive holds, unpacked by cpio. */
export function unpack(archive: Uint8Array): (path: string) => string {
  const target = mkdtempSync(join(directory, 'unpacked-'));
  execFileSync('cpio', ['-id', '--quiet', '--no-absolute-filenames'], { cwd: target, input: archive });
  return (path) => readFileSync(join(target, path), 'latin1');
}

/** Writes bytes into a disk. */
export function poke(disk: string, offset: number, content: Uint8Array): void {
  const file = openSync(disk, 'r+');
  writeSync(file, content, 0, content.length, offset);
  closeSync(file);
}
