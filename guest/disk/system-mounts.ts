import { DebugfsFileSystem } from '../files/debugfs';
import { parentOf } from '../files/guest-path';
import { MountedFiles, type Mount } from '../files/mounted-files';
import { withGuest } from '../files/open-guest';
import { type GuestFiles } from '../files/port';
import { parseFstab, type FstabEntry } from '../linux/fstab';
import { GuestNotAdaptableError } from '../port';
import { type DeviceNames } from './device-names';
import { type DiskContent } from './guest-disks';

/** A file system that the guest's system is on, and where the guest mounts it. */
export interface SystemMount {
  mountPoint: string;
  diskPath: string;
  /** In bytes from the start of the disk. */
  offset: number;
  /** By libblkid. */
  type: string | undefined;
  /** The directory of the file system that is mounted there; undefined for its root. */
  directory?: string;
}

/** Directories that an adaptation reads or writes, outermost first. */
const SYSTEM_DIRECTORIES = ['/usr', '/var', '/var/lib', '/boot', '/boot/grub', '/etc'];
const EXT = /^ext[234]$/;
const MAX_FSTAB_BYTES = 1024 * 1024;
/** As many links or bind mounts as lead from one directory to another. */
const MAX_STEPS = 8;

/**
 * The file systems that a guest's system is spread over, by mount point, root first, on whichever disk they are.
 * @throws GuestNotAdaptableError where one of them cannot be found or opened
 */
export async function systemMounts(root: DiskContent, names: DeviceNames): Promise<SystemMount[]> {
  const found = [mountOf('/', root)];
  return withGuest(
    () => openSystem(found, false),
    async (files) => {
      const fstab = parseFstab((await files.read('/etc/fstab', MAX_FSTAB_BYTES)).toString('latin1'));
      for (const directory of SYSTEM_DIRECTORIES) {
        for (const entry of await mountsOnTheWay(directory, fstab, files)) {
          if (found.some((one) => one.mountPoint === entry.mountPoint)) continue;
          found.push(
            isBind(entry) ? bindOf(entry, found) : mountOf(entry.mountPoint, await contentOf(entry, names)),
          );
        }
      }
      return found.sort((a, b) => a.mountPoint.length - b.mountPoint.length);
    },
  );
}

/** Opens the guest's file systems together. The one place that knows what opens a file system of which type. */
export async function openSystem(system: SystemMount[], writable: boolean): Promise<GuestFiles> {
  const mounts: Mount[] = [];
  const open = new Map<string, DebugfsFileSystem>();
  try {
    for (const { mountPoint, diskPath, offset, directory } of system) {
      // Opened twice, each would write what it knows over what the other one wrote.
      const key = `${offset} ${diskPath}`;
      const fileSystem = open.get(key) ?? (await DebugfsFileSystem.open(diskPath, offset, writable));
      open.set(key, fileSystem);
      mounts.push({ mountPoint, fileSystem, ...(directory === undefined ? {} : { directory }) });
    }
  } catch (error) {
    await Promise.allSettled([...open.values()].map((fileSystem) => fileSystem.close()));
    throw error;
  }
  return new MountedFiles(mounts);
}

/** The file systems themselves, each once. */
export function distinctFileSystems(system: SystemMount[]): { diskPath: string; offset: number }[] {
  return [...new Map(system.map((mount) => [`${mount.offset} ${mount.diskPath}`, mount])).values()];
}

/** The mounts that a directory lies on, following symbolic links and bind mounts; outermost first, sources before. */
async function mountsOnTheWay(
  directory: string,
  fstab: FstabEntry[],
  files: GuestFiles,
): Promise<FstabEntry[]> {
  const needed: FstabEntry[] = [];
  let at = directory;
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    for (const entry of fstab.filter(({ mountPoint }) => mountPoint !== '/' && isInside(at, mountPoint))) {
      if (isBind(entry))
        needed.unshift(
          ...fstab.filter((one) => one.mountPoint !== '/' && isInside(entry.device, one.mountPoint)),
        );
      needed.push(entry);
    }
    if ((await files.stat(at))?.type !== 'symlink') break;
    const target = await files.readlink(at);
    at = target.startsWith('/') ? target : `${parentOf(at) === '/' ? '' : parentOf(at)}/${target}`;
    at = normalized(at);
  }
  return needed;
}

function isInside(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}

function isBind({ device, options }: FstabEntry): boolean {
  return device.startsWith('/') && options.some((option) => option === 'bind' || option === 'rbind');
}

/** @param found the file systems that are mounted already */
function bindOf({ device, mountPoint }: FstabEntry, found: SystemMount[]): SystemMount {
  const source = found
    .filter((one) => isInside(device, one.mountPoint))
    .reduce((best, one) => (one.mountPoint.length > best.mountPoint.length ? one : best));
  const inner = source.mountPoint === '/' ? device : device.slice(source.mountPoint.length);
  return { ...source, mountPoint, directory: `${source.directory ?? ''}${normalized(inner)}` };
}

function normalized(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

async function contentOf({ device, mountPoint, type }: FstabEntry, names: DeviceNames): Promise<DiskContent> {
  const content = names.find(device) ?? (await contentByFiles(mountPoint, names));
  if (content !== undefined && EXT.test(content.identity.type ?? '')) return content;
  throw new GuestNotAdaptableError(
    `The guest mounts ${mountPoint} from ${device} (${content?.identity.type ?? type}), and ` +
      (content === undefined
        ? `that is on none of the VM's disks that can be read. ${mountPoint} is needed for the boot: see that the disk is backed up, and name it by UUID= in the guest's /etc/fstab.`
        : 'only ext2, ext3 and ext4 without LVM are supported there so far.'),
  );
}

/** What tells a file system that is mounted at one of the system's directories, where its name does not. */
const SIGNS: Record<string, RegExp> = {
  '/boot': /^vmlinu[xz]-/,
  '/boot/grub': /^grub\.cfg$/,
  '/var': /^(spool|cache)$/,
  '/usr': /^(sbin|share)$/,
};

async function contentByFiles(mountPoint: string, known: DeviceNames): Promise<DiskContent | undefined> {
  const sign = SIGNS[mountPoint];
  const fitting: DiskContent[] = [];
  for (const content of sign === undefined ? [] : known.unclaimed) {
    if (!EXT.test(content.identity.type ?? '')) continue;
    const names = await withGuest(
      () => openSystem([mountOf('/', content)], false),
      (files) => files.list('/'),
    );
    if (names.some((name) => sign?.test(name))) fitting.push(content);
  }
  return fitting.length === 1 ? fitting[0] : undefined;
}

function mountOf(mountPoint: string, { diskPath, offset, identity }: DiskContent): SystemMount {
  return { mountPoint, diskPath, offset, type: identity.type };
}
