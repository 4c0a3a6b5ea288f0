import { randomUUID } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { grubDirectory } from './host-release';
import { buildStep } from './build-step';

const sectorBytes = 512;
/** Where partitioning programs have begun the first partition for years; the boot loader lies before it. */
export const partitionStart = 1024 * 1024;
/** The part of a master boot record that is code; the partition table follows it. */
const bootCodeBytes = 440;

/** What every boot menu needs. */
const menuModules = ['biosdisk', 'part_msdos', 'normal', 'linux', 'search', 'search_fs_uuid', 'echo', 'test'];
const consoleModules = ['configfile', 'serial', 'terminal'];

/**
 * Puts GRUB between the master boot record and the first partition, as grub-install would.
 * @param prefix where its menu is, such as `(hd0,msdos1)/boot/grub`
 * @param modules that of the file system, and what else its menu calls
 */
export async function installGrub(path: string, prefix: string, modules: string[]): Promise<void> {
  const coreFile = `${path}.core-${randomUUID()}`;
  const all = [...menuModules, ...consoleModules, ...modules];
  await buildStep('grub-mkimage', ['-O', 'i386-pc', '-p', prefix, '-o', coreFile, ...all]);
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
