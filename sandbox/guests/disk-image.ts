import { randomUUID } from 'node:crypto';
import { open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { grubDirectory } from './host-release';
import { buildStep } from './build-step';

const sectorBytes = 512;
/** Where partitioning programs have begun the first partition for years; the boot loader lies before it. */
const partitionStart = 1024 * 1024;
/** The part of a master boot record that is code; the partition table follows it. */
const bootCodeBytes = 440;
const fileSystemBlock = 4096;

/**
 * Features that the kernels, boot loaders and repair programs of all supported releases know: a newer mke2fs would
 * add some by default that GRUB cannot read.
 */
const features =
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum';

interface Ext4 {
  /** Offset of the file system in the file, in bytes. */
  offset: number;
  sizeBytes: number;
  uuid: string;
  /** A directory whose content the file system gets. */
  content?: string;
  /** Owner of its root directory. */
  owner?: { uid: number; gid: number };
}

/** Writes an ext4 file system into a file, without mounting anything. */
async function writeExt4(path: string, { offset, sizeBytes, uuid, content, owner }: Ext4): Promise<void> {
  const extended = [
    `offset=${offset}`,
    `root_owner=${owner?.uid ?? 0}:${owner?.gid ?? 0}`,
    `hash_seed=${uuid}`,
    // The tables of a new sparse file are zero already: else the guest's kernel would write them while it boots.
    'lazy_itable_init=0,lazy_journal_init=0',
  ];
  await buildStep('mke2fs', [
    ...['-q', '-F', '-t', 'ext4', '-b', String(fileSystemBlock), '-O', features, '-U', uuid],
    // A server's disk this small is full of blocks before it has this many files. A small journal, as every boot
    // writes to it and each block that it touches is one to replicate.
    ...['-i', '32768', '-J', 'size=8', '-E', extended.join(',')],
    ...(content === undefined ? [] : ['-d', content]),
    path,
    `${Math.floor(sizeBytes / fileSystemBlock) * (fileSystemBlock / 1024)}k`,
  ]);
}

/** Makes a raw disk that is one ext4 file system, without partitions. */
export async function makeDataDisk(
  path: string,
  disk: { sizeBytes: number; uuid: string; owner: { uid: number; gid: number } },
): Promise<void> {
  await createSparseFile(path, disk.sizeBytes);
  await writeExt4(path, { offset: 0, ...disk });
}

/**
 * Makes a raw disk that a BIOS boots: a master boot record, GRUB, and one ext4 partition with the tree's content.
 * Its file system gets the UUID that the tree's fstab has for "/".
 */
export async function makeBootDisk(path: string, disk: { sizeBytes: number; tree: string }): Promise<void> {
  await createSparseFile(path, disk.sizeBytes);
  const uuid = rootUuid(await readFile(join(disk.tree, 'etc/fstab'), 'utf8'));
  await partition(path, uuid);
  await writeExt4(path, {
    offset: partitionStart,
    sizeBytes: disk.sizeBytes - partitionStart,
    uuid,
    content: disk.tree,
  });
  await installGrub(path);
}

/** UUID of the root file system in an fstab. */
export function rootUuid(fstab: string): string {
  const uuid = /^UUID=(\S+)\s+\/\s/m.exec(fstab)?.[1];
  if (uuid === undefined) throw new Error('The guest’s fstab names no UUID for "/".');
  return uuid;
}

async function createSparseFile(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, '', { flag: 'wx' });
  await truncate(path, sizeBytes);
}

async function partition(path: string, uuid: string): Promise<void> {
  const script = [
    'label: dos',
    `label-id: 0x${uuid.slice(0, 8)}`,
    `start=${partitionStart / sectorBytes}, type=83, bootable`,
  ].join('\n');
  await buildStep('sfdisk', ['--quiet', path], { input: Buffer.from(`${script}\n`) });
}

/** Puts GRUB between the master boot record and the first partition, as grub-install would. */
async function installGrub(path: string): Promise<void> {
  const coreFile = `${path}.core-${randomUUID()}`;
  const modules = [
    'biosdisk',
    'part_msdos',
    'ext2',
    'normal',
    'linux',
    'search',
    'search_fs_uuid',
    'echo',
    'test',
  ];
  const more = ['configfile', 'serial', 'terminal'];
  const prefix = '(hd0,msdos1)/boot/grub';
  await buildStep('grub-mkimage', ['-O', 'i386-pc', '-p', prefix, '-o', coreFile, ...modules, ...more]);
  const [bootCode, core] = await Promise.all([readFile(join(grubDirectory, 'boot.img')), readFile(coreFile)]);
  await rm(coreFile);
  if (core.length > partitionStart - sectorBytes)
    throw new Error('GRUB is too large for the space before the partition.');
  const disk = await open(path, 'r+');
  try {
    await disk.write(bootCode, 0, bootCodeBytes, 0);
    await disk.write(core, 0, core.length, sectorBytes);
  } finally {
    await disk.close();
  }
}

/** Owner of a path in a guest's tree. */
export async function ownerOf(path: string): Promise<{ uid: number; gid: number }> {
  const { uid, gid } = await stat(path);
  return { uid, gid };
}
