import { type KernelModule } from '../kernel-modules';
import { CPIO_DIRECTORY, CPIO_FILE, CPIO_LINK, cpioArchive, padding, type CpioEntry } from './cpio';
import { ArchiveDamagedError } from './cpio-reader';
import { type InitramfsImage } from './image';

/**
 * The kernel looks for the next archive after skipping zeros, at a multiple of four bytes; some boot loaders hand
 * over whole sectors. At least four zeros, as kernels find the end of an LZ4 archive only by them.
 */
const SECTOR = 512;
const MIN_ZEROS = 4;

/** Our own directory in an initramfs. */
export const DIRECTORY = 'lifeboat';

/** Programs that load a module file when they are called as "insmod", best first. */
const LOADERS = ['insmod', 'kmod', 'modprobe', 'busybox'];
const PROGRAM_DIRECTORIES = ['usr/sbin', 'sbin', 'usr/bin', 'bin'];

/** A file, or a symbolic link, that shall be in an initramfs. */
export interface SegmentFile {
  path: string;
  content: string | Uint8Array | { link: string };
  /** For a script that is run, and not only read. */
  executable?: boolean;
}

/** The modules as files of ours, with a list of them that a script reads line by line: file and name. */
export function moduleFiles(modules: KernelModule[]): SegmentFile[] {
  const named = modules.map((module, index) => ({
    ...module,
    file: `${String(index).padStart(2, '0')}-${module.name}.ko`,
  }));
  return [
    ...named.map((module) => ({ path: `${DIRECTORY}/${module.file}`, content: module.content })),
    {
      path: `${DIRECTORY}/modules`,
      content: named.map((module) => `${module.file} ${module.name}\n`).join(''),
    },
  ];
}

/**
 * What loads module files in this initramfs, as a path in it. kmod and busybox do what the name that they are called by
 * says, so a link of ours gives an insmod also where only modprobe was put in.
 * @returns undefined where nothing can
 */
export function insmodOf(image: InitramfsImage): { path: string; files: SegmentFile[] } | undefined {
  for (const loader of LOADERS) {
    for (const directory of PROGRAM_DIRECTORIES) {
      const path = `${directory}/${loader}`;
      if (image.typeOf(path) !== 'file') continue;
      if (loader === 'insmod') return { path: `/${path}`, files: [] };
      const link = `${DIRECTORY}/insmod`;
      return { path: `/${link}`, files: [{ path: link, content: { link: `/${path}` } }] };
    }
  }
  return undefined;
}

/**
 * Lines of a shell script that load the modules of {@link moduleFiles} in order. What is there already, built in or
 * loaded, is passed over. LVM's list of disks by what their hardware calls them, a copy of the guest's, knows those of the
 * other site only: without it LVM looks at all.
 */
export function loadScript(insmod: string): string {
  return `while read -r lifeboat_file lifeboat_name; do
  [ -d "/sys/module/$lifeboat_name" ] && continue
  ${insmod} "/${DIRECTORY}/$lifeboat_file" || echo "lifeboat: module $lifeboat_name was not loaded" > /dev/console
done < /${DIRECTORY}/modules
rm -f /etc/lvm/devices/*.devices
echo "lifeboat: drivers of this site are loaded" > /dev/console
`;
}

/**
 * A further segment for the end of an initramfs, uncompressed, so that it works with whatever compression the rest has.
 *
 * An archive's directory takes the place of a symbolic link with the same name, with all that was behind it: so a
 * directory is written only where the initramfs has nothing, and files go where its links lead to.
 *
 * @param initramfsBytes length of the initramfs that it will follow
 * @throws ArchiveDamagedError where the initramfs leaves no place for a file
 */
export function initramfsSegment(
  initramfsBytes: number,
  image: InitramfsImage,
  files: SegmentFile[],
): Buffer {
  const entries = new Map<string, CpioEntry>();
  for (const file of files) {
    const path = placeFor(image, file.path, entries);
    entries.set(path, entryOf(path, file));
  }
  const archive = cpioArchive([...entries.values()]);
  const zeros = new Uint8Array(MIN_ZEROS);
  const before = padding(initramfsBytes + MIN_ZEROS, SECTOR);
  return Buffer.concat([zeros, before, archive, padding(archive.length, SECTOR)]);
}

/** The path without links, with directories added to `entries` that the image lacks. */
function placeFor(image: InitramfsImage, path: string, entries: Map<string, CpioEntry>): string {
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  let at = '';
  for (const part of parts) {
    const next = at === '' ? part : `${at}/${part}`;
    if (entries.get(next)?.mode === CPIO_DIRECTORY) {
      at = next;
      continue;
    }
    const real = image.realpath(next);
    if (real === undefined) {
      if (image.hasEntry(next)) throw new ArchiveDamagedError(`/${next} in it is a symbolic link to nowhere`);
      entries.set(next, { path: next, mode: CPIO_DIRECTORY, content: new Uint8Array() });
      at = next;
    } else if (image.typeOf(real) !== 'directory') {
      throw new ArchiveDamagedError(`/${next} in it is no directory`);
    } else at = real;
  }
  return at === '' ? name : `${at}/${name}`;
}

function entryOf(path: string, { content, executable }: SegmentFile): CpioEntry {
  if (typeof content === 'object' && 'link' in content)
    return { path, mode: CPIO_LINK, content: Buffer.from(content.link, 'latin1') };
  return {
    path,
    mode: executable ? CPIO_FILE | 0o111 : CPIO_FILE,
    content: typeof content === 'string' ? Buffer.from(content, 'latin1') : content,
  };
}
