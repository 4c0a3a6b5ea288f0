import { GuestFileError, type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { appendToInitramfs } from '../changes/apply';
import { type BootState } from '../boot/kernels';
import { type DeviceNames } from '../../disk/device-names';
import { withoutLostHardware } from '../disks/lost-hardware';
import { KernelModules } from '../kernel-modules';
import { ArchiveDamagedError } from './cpio-reader';
import { PRIMARY_DISK_MODULES, PRIMARY_MODULES } from './drivers';
import { type InitramfsImage } from './image';
import { installedMakers, makerOf } from './makers';
import { readImage } from './read-image';
import { initramfsSegment } from './segment';

export interface AddedDrivers {
  kernels: string[];
  modules: string[];
  changed: string[];
  warnings: string[];
}

interface LostHardware {
  names: DeviceNames;
  /** The guest's files as they are now, of which images may have copies. */
  texts: { path: string; content: Buffer }[];
}

/** How the guest is at home. */
export interface AtHome {
  /** Paths of images that are as they were before. */
  restored: ReadonlySet<string>;
  /** Given where the guest named disks by hardware that is gone: what its images have of that is put right, too. */
  lost: LostHardware | undefined;
}

/**
 * An initramfs that was made at the recovery site may have been cut to the hardware there: it gets the drivers of the
 * primary site's disks that it lacks.
 * @throws GuestNotAdaptableError where the kernel that boots cannot have them
 */
export async function addPrimaryDrivers(
  files: GuestFiles,
  { kernels }: Pick<BootState, 'kernels'>,
  home: AtHome,
): Promise<AddedDrivers> {
  const added: AddedDrivers = { kernels: [], modules: [], changed: [], warnings: [] };
  const modules = new Set<string>();
  for (const [index, { release, images }] of kernels.entries()) {
    for (const path of images) {
      if (home.restored.has(path) && home.lost === undefined) continue;
      try {
        const names = await addToImage(files, release, path, home);
        if (names === undefined) continue;
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

/** @returns names of the modules that were added; undefined where the image has what it needs */
async function addToImage(
  files: GuestFiles,
  release: string,
  path: string,
  { restored, lost }: AtHome,
): Promise<string[] | undefined> {
  const kernel = await KernelModules.read(files, release);
  const needed = restored.has(path)
    ? []
    : PRIMARY_DISK_MODULES.filter((name) => kernel.has(name) === 'module');
  if (needed.length === 0 && lost === undefined) return undefined;
  const { image, bytes } = await readImage(files, path);
  const lacks = needed.some((name) => !image.modules.has(name));
  const copies = (lost?.texts ?? []).flatMap(({ path: copied, content }) =>
    image.typeOf(copied.slice(1)) === 'file' ? [{ path: copied.slice(1), content }] : [],
  );
  const knowsLost = copies.length > 0 || (lost !== undefined && namesLostHardware(image, lost.names));
  if (!lacks && !knowsLost) return undefined;
  const maker = makerOf(image);
  if (maker === undefined) throw new ArchiveDamagedError('what made it is unknown');
  const modules = await kernel.load(PRIMARY_MODULES);
  const argumentsHere = lost && ((text: string) => withoutLostHardware(text, lost.names));
  const own = maker.extend(image, { modules, argumentsHere });
  await appendToInitramfs(files, path, initramfsSegment(bytes, image, [...copies, ...own]));
  return modules.map((module) => module.name);
}

/** Whether what the image itself brings, such as kernel arguments, names disks by hardware. */
function namesLostHardware(image: InitramfsImage, names: DeviceNames): boolean {
  return image.texts.some((path) => {
    const text = image.text(path) ?? '';
    return withoutLostHardware(text, names) !== text;
  });
}

function isGuestsFault(error: unknown): error is Error {
  return (
    error instanceof ArchiveDamagedError ||
    error instanceof GuestNotAdaptableError ||
    error instanceof GuestFileError
  );
}
