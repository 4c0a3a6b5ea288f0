import { type GuestFileSystem } from '../files/file-system';
import { parentOf } from '../files/guest-path';
import { MountedFiles, type Mount } from '../files/mounted-files';
import { withGuest } from '../files/open-guest';
import { type GuestFiles } from '../files/port';
import { parseFstab, type FstabEntry } from '../linux/disks/fstab';

/** A file system that the guest's system is on, and where the guest mounts it. */
export interface SystemMount {
  mountPoint: string;
  source: FileSystemSource;
  /** The directory of the file system that is mounted there; undefined for its root. */
  directory?: string;
}

/** Something on the guest's disks that can be opened as a file system. */
export interface FileSystemSource {
  /** Tells one from another. */
  key: string;
  open(writable: boolean): Promise<GuestFileSystem>;
}

/** Directories that an adaptation reads or writes, outermost first. */
const SYSTEM_DIRECTORIES = ['/usr', '/var', '/var/lib', '/boot', '/boot/grub', '/etc'];
const MAX_FSTAB_BYTES = 1024 * 1024;
/** As many links or bind mounts as lead from one directory to another. */
const MAX_STEPS = 8;

/**
 * The file systems that a guest's system is spread over, by mount point, root first, on whichever disk they are.
 * @param find what a line of fstab means
 * @throws GuestNotAdaptableError where one of them cannot be found or opened
 */
export async function systemMounts(
  root: FileSystemSource,
  find: (entry: FstabEntry) => Promise<FileSystemSource>,
): Promise<SystemMount[]> {
  const found: SystemMount[] = [{ mountPoint: '/', source: root }];
  return withGuest(
    () => openSystem(found, false),
    async (files) => {
      const fstab = parseFstab((await files.read('/etc/fstab', MAX_FSTAB_BYTES)).toString('latin1'));
      for (const directory of SYSTEM_DIRECTORIES) {
        for (const entry of await mountsOnTheWay(directory, fstab, files)) {
          if (found.some((one) => one.mountPoint === entry.mountPoint)) continue;
          found.push(
            isBind(entry)
              ? bindOf(entry, found)
              : { mountPoint: entry.mountPoint, source: await find(entry) },
          );
        }
      }
      return found.sort((a, b) => a.mountPoint.length - b.mountPoint.length);
    },
  );
}

/** Opens the guest's file systems together. */
export async function openSystem(system: SystemMount[], writable: boolean): Promise<GuestFiles> {
  const mounts: Mount[] = [];
  const open = new Map<string, GuestFileSystem>();
  try {
    for (const { mountPoint, source, directory } of system) {
      // Opened twice, each would write what it knows over what the other one wrote.
      const fileSystem = open.get(source.key) ?? (await source.open(writable));
      open.set(source.key, fileSystem);
      mounts.push({ mountPoint, fileSystem, ...(directory === undefined ? {} : { directory }) });
    }
  } catch (error) {
    await Promise.allSettled([...open.values()].map((fileSystem) => fileSystem.close()));
    throw error;
  }
  return new MountedFiles(mounts);
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
