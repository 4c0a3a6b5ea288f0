import { GuestFileError, type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { appendToInitramfs } from '../changes/apply';
import { readBootState } from '../boot/kernels';
import { KernelModules } from '../kernel-modules';
import { ArchiveDamagedError } from './cpio-reader';
import { PRIMARY_DISK_MODULES, PRIMARY_MODULES } from './drivers';
import { installedMakers, makerOf } from './makers';
import { readImage } from './read-image';
import { initramfsSegment } from './segment';

export interface AddedDrivers {
  kernels: string[];
  modules: string[];
  changed: string[];
  warnings: string[];
}

/**
 * An initramfs that was made at the recovery site may have been cut to the hardware there: it gets the drivers of the
 * primary site's disks that it lacks.
 * @param restored paths of images that are as they were before
 * @throws GuestNotAdaptableError where the kernel that boots cannot have them
 */
export async function addPrimaryDrivers(
  files: GuestFiles,
  restored: ReadonlySet<string>,
): Promise<AddedDrivers> {
  const added: AddedDrivers = { kernels: [], modules: [], changed: [], warnings: [] };
  const modules = new Set<string>();
  const { kernels } = await readBootState(files);
  for (const [index, { release, images }] of kernels.entries()) {
    for (const path of images) {
      if (restored.has(path)) continue;
      try {
        const names = await addToImage(files, release, path);
        if (names.length === 0) continue;
        added.kernels.push(release);
        added.changed.push(path);
        for (const name of names) modules.add(name);
      } catch (error) {
        if (!isGuestsFault(error)) throw error;
        const commands = (await installedMakers(files))
          .map((maker) => `"${maker.command(release)}"`)
          .join(' or ');
        const problem =
          `${path} was made at the recovery site, and cannot be given the primary site's drivers: ${error.message}. ` +
          `Make it anew there${commands === '' ? '' : ` (${commands})`}, or remove its kernel.`;
        if (index === 0) throw new GuestNotAdaptableError(problem);
        added.warnings.push(problem);
      }
    }
  }
  return { ...added, modules: [...modules] };
}

/** @returns names of the modules that were added */
async function addToImage(files: GuestFiles, release: string, path: string): Promise<string[]> {
  const kernel = await KernelModules.read(files, release);
  const needed = PRIMARY_DISK_MODULES.filter((name) => kernel.has(name) === 'module');
  if (needed.length === 0) return [];
  const { image, bytes } = await readImage(files, path);
  if (needed.every((name) => image.modules.has(name))) return [];
  const maker = makerOf(image);
  if (maker === undefined) throw new ArchiveDamagedError('what made it is unknown');
  const modules = await kernel.load(PRIMARY_MODULES);
  await appendToInitramfs(files, path, initramfsSegment(bytes, image, maker.extend(image, { modules })));
  return modules.map((module) => module.name);
}

function isGuestsFault(error: unknown): error is Error {
  return (
    error instanceof ArchiveDamagedError ||
    error instanceof GuestNotAdaptableError ||
    error instanceof GuestFileError
  );
}
