import { nameOf } from '../../files/guest-path';
import { type GuestFiles } from '../../files/port';
import { type BootEntry, entriesOf, type BootMenuItem } from './boot-entry';
import { type BlsEntry, readBlsEntries } from './bls';
import { defaultEntry } from './default-entry';
import { grubConfigs, grubEnvironment, readGrubText } from './grub-files';
import { parseGrubMenu } from './grub-menu';
import { compareVersions } from './version-order';

const RELEASE = /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,100}$/;
/** More kernels than anybody keeps; the oldest are left as they are, as each costs room in /boot and time. */
const MAX_KERNELS = 16;

/** A kernel of the guest with what it boots with. */
export interface BootableKernel {
  /** Its directory in /lib/modules. */
  release: string;
  /** Its initramfs images, as paths in the guest; more than one where none is named and two makers left theirs. */
  images: string[];
}

export interface BootState {
  /** The kernel that boots when nobody chooses comes first, the others follow newest first. */
  kernels: BootableKernel[];
  /** What boots, where the boot loader tells; its kernel may be none of those. */
  chosen: BootEntry | undefined;
  blsEntries: BlsEntry[];
  grubConfigs: string[];
  /** Directories in /lib/modules that no initramfs goes with. */
  withoutImage: string[];
  /** Kernels beyond those that are looked at. */
  left: string[];
}

/**
 * The kernels of a guest, and which of them boots: by its boot loader's menu, and where that does not tell, the newest, as
 * boot loaders do. Images for crash dumps and rescue go with no directory in /lib/modules, and are not found.
 */
export async function readBootState(files: GuestFiles): Promise<BootState> {
  const configs = await grubConfigs(files);
  const blsEntries = await readBlsEntries(files);
  const { menu, chosen } = await readMenu(files, configs, blsEntries);

  const releases = (await files.list('/lib/modules'))
    .filter((name) => RELEASE.test(name))
    .sort((a, b) => compareVersions(b, a));
  const named = new Map<string, string[]>();
  for (const entry of [...blsEntries, ...entriesOf(menu)]) {
    const release = await releaseOf(files, entry, releases);
    const images = named.get(release ?? '') ?? [];
    if (release !== undefined) named.set(release, [...images, ...entry.initrds]);
  }
  const found: BootableKernel[] = [];
  const withoutImage: string[] = [];
  for (const release of releases) {
    const images = await imagesOf(files, release, named.get(release) ?? []);
    if (images.length > 0) found.push({ release, images });
    else withoutImage.push(release);
  }
  const first = chosen === undefined ? undefined : await releaseOf(files, chosen, releases);
  const kernels = [
    ...found.filter((kernel) => kernel.release === first),
    ...found.filter((kernel) => kernel.release !== first),
  ];
  return {
    kernels: kernels.slice(0, MAX_KERNELS),
    chosen,
    blsEntries,
    grubConfigs: configs,
    withoutImage,
    left: kernels.slice(MAX_KERNELS).map((kernel) => kernel.release),
  };
}

/**
 * The release of an entry's kernel by the name of its file, or of what that is a link to: SUSE's lead to
 * /usr/lib/modules/…/vmlinuz.
 */
export async function releaseOf(
  files: GuestFiles,
  { kernel }: BootEntry,
  releases: string[],
): Promise<string | undefined> {
  const real = await realpathOrNothing(files, kernel);
  for (const path of [kernel, real ?? kernel]) {
    const name = nameOf(path).replace(/^(?:vmlinuz|vmlinux|bzImage|linux|kernel)-/, '');
    if (releases.includes(name)) return name;
    const directory = /\/modules\/([^/]+)\/[^/]+$/.exec(path)?.[1];
    if (directory !== undefined && releases.includes(directory)) return directory;
  }
  return undefined;
}

async function readMenu(
  files: GuestFiles,
  configs: string[],
  blsEntries: BlsEntry[],
): Promise<{ menu: BootMenuItem[]; chosen: BootEntry | undefined }> {
  const menus: BootMenuItem[] = [];
  let chosen: BootEntry | undefined;
  const environment = await grubEnvironment(files);
  for (const config of configs) {
    const text = await readGrubText(files, config);
    if (text === undefined) continue;
    const written = parseGrubMenu(text, config);
    // GRUB puts the entries of the directory into the menu by a command of its own, before the others.
    const reads = /^\s*blscfg\b/m.test(text) || entriesOf(written).length === 0;
    const menu = [...(reads ? blsEntries : []), ...written];
    menus.push(...written);
    chosen ??= defaultEntry(text, environment, menu);
  }
  return { menu: menus, chosen: chosen ?? blsEntries[0] };
}

async function imagesOf(files: GuestFiles, release: string, named: string[]): Promise<string[]> {
  const images: string[] = [];
  const real = new Set<string>();
  const add = async (path: string): Promise<void> => {
    const found = await realpathOrNothing(files, path);
    if (found === undefined || real.has(found) || (await files.stat(found))?.type !== 'file') return;
    real.add(found);
    images.push(path);
  };
  // An entry may load microcode before: the last is the initramfs.
  for (const path of named) if (isImageName(path)) await add(path);
  if (images.length === 0) {
    for (const path of [
      `/boot/initrd.img-${release}`,
      `/boot/initramfs-${release}.img`,
      `/boot/initrd-${release}`,
    ])
      await add(path);
  }
  return images;
}

/** Names of Debian and Ubuntu, of RHEL and Fedora, and of SUSE, and links to them without a release; not the spare ones. */
function isImageName(path: string): boolean {
  return /^\/boot\/(initrd|initramfs)[^/]*$/.test(path) && !/kdump|rescue|fallback/.test(path);
}

/** A name of a boot loader's file may be none that can be looked up here. */
async function realpathOrNothing(files: GuestFiles, path: string): Promise<string | undefined> {
  return /^[\x20-\x7e]{1,400}$/.test(path) && !/["\\$]/.test(path) ? files.realpath(path) : undefined;
}
