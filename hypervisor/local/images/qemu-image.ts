import { mkdir, open, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../../host/atomic-file';
import { type CheckedImage, type ImagePart } from './checked-image';
import { type DiskImage } from '../vm-files';
import { SECTOR } from './vmdk-header';

/**
 * What QEMU is given to open: exactly what was checked. QEMU reads a VMDK's descriptor by rules of its own: it takes a
 * line and the blank ones before it for two extents, passes over extents that are RDONLY, knows no encoding, and takes
 * an absolute path for what it is. So it gets none that came from elsewhere: a disk in one flat file is opened as that file, and
 * any other from a descriptor made here, in which the parts have names made here, links to the files that were looked at.
 */

/**
 * @param directory of this disk alone; what is in it is made anew each time, and is the same each time
 */
export async function imageForQemu(
  image: DiskImage,
  { rawFile, parts }: CheckedImage,
  directory: string,
): Promise<DiskImage> {
  if (rawFile !== undefined) return { path: rawFile, format: 'raw' };
  if (parts === undefined) return image;
  await mkdir(directory, { recursive: true });
  const lines: string[] = [];
  for (const [index, part] of parts.entries()) {
    const name = `part-${index}`;
    await placePart(join(directory, name), part);
    const type = part.type === 'SPARSE' ? 'SPARSE' : 'FLAT';
    const offset = part.type === 'FLAT' ? ` ${part.offsetSectors}` : part.type === 'ZERO' ? ' 0' : '';
    lines.push(`RW ${part.sectors} ${type} "${name}"${offset}`);
  }
  const path = join(directory, 'disk.vmdk');
  await writeFileAtomically(path, descriptor(lines));
  return { path, format: 'vmdk' };
}

/** A QEMU may have the same part open, so that what is right is left alone. */
async function placePart(path: string, part: ImagePart): Promise<void> {
  if (part.type !== 'ZERO') {
    if ((await linkTarget(path)) === part.path) return;
    await rm(path, { force: true });
    await symlink(part.path, path);
    return;
  }
  if ((await linkTarget(path)) !== undefined) await rm(path);
  const zeros = await open(path, 'w', 0o644);
  try {
    await zeros.truncate(part.sectors * SECTOR);
  } finally {
    await zeros.close();
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EINVAL') return undefined; // nothing there, or no link
    throw error;
  }
}

/** To QEMU, the kind is one of those with a descriptor, and the type of each part its own. */
function descriptor(extents: readonly string[]): string {
  return [
    '# Disk DescriptorFile',
    'version=1',
    // QEMU writes another when it first writes to the disk, and wants eight digits' room.
    'CID=11111111',
    'parentCID=ffffffff',
    'createType="twoGbMaxExtentSparse"',
    '# Extent description',
    ...extents,
    '',
  ].join('\n');
}
