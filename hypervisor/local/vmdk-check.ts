import { type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CheckedImage } from './checked-image';
import { DiskImageError } from './image-error';
import { readVmdkHeader, SECTOR } from './vmdk-header';

/** QEMU reads no more of a descriptor; one with 2 GiB extents has some forty bytes for each. */
const MAX_DESCRIPTOR_BYTES = 2 ** 20 - 1;

/** Kinds of VMDK in one file, with a header. */
const SINGLE = ['monolithicSparse', 'streamOptimized'];
/** Kinds of which the file is a text, the descriptor, that names the files with the data. */
const WITH_DESCRIPTOR = ['monolithicFlat', 'vmfs', 'twoGbMaxExtentFlat', 'twoGbMaxExtentSparse'];

interface Extent {
  sectors: number;
  type: 'FLAT' | 'VMFS' | 'SPARSE';
  file: string;
  /** In the file, in sectors. */
  offset: number;
}

type OpenFile = (path: string) => Promise<FileHandle>;

/** @throws DiskImageError; see {@link checkImage} */
export async function checkVmdk(
  file: FileHandle,
  path: string,
  sizeBytes: number,
  openFile: OpenFile,
): Promise<CheckedImage> {
  const sectors = sizeBytes / SECTOR;
  const header = await readVmdkHeader(file, path);
  if (header) {
    const { size } = await file.stat();
    const { descriptorOffset, descriptorSectors } = header;
    if (descriptorOffset + descriptorSectors > size / SECTOR)
      throw new DiskImageError(path, 'it ends before its descriptor does');
    checkSectors(path, header.capacity, sectors);
    const descriptor = await readText(file, path, descriptorOffset * SECTOR, descriptorSectors * SECTOR);
    checkDescriptor(path, descriptor, SINGLE);
    return { readOnly: header.compressed, files: [path] };
  }

  const { size } = await file.stat();
  const descriptor = await readText(file, path, 0, size);
  checkDescriptor(path, descriptor, WITH_DESCRIPTOR);
  const extents = parseExtents(path, descriptor);
  checkSectors(
    path,
    extents.reduce((sum, extent) => sum + extent.sectors, 0),
    sectors,
  );
  const files = new Set([path]);
  let rawFile: string | undefined;
  for (const extent of extents) {
    const extentPath = join(dirname(path), extent.file);
    const { bytes } = await checkExtent(extent, extentPath, openFile);
    if (extents.length === 1 && extent.type !== 'SPARSE' && extent.offset === 0 && bytes === sizeBytes)
      rawFile = extentPath;
    files.add(extentPath);
  }
  return { readOnly: false, files: [...files], ...(rawFile === undefined ? {} : { rawFile }) };
}

function checkSectors(path: string, found: number, expected: number): void {
  if (found !== expected)
    throw new DiskImageError(
      path,
      `it is a disk of ${found * SECTOR} bytes, and the VM's has ${expected * SECTOR}`,
    );
}

function checkDescriptor(path: string, descriptor: string, kinds: string[]): void {
  const kind = /createType="([^"\n]*)"/.exec(descriptor)?.[1];
  if (kind === undefined) throw new DiskImageError(path, 'it is no VMDK');
  if (!kinds.includes(kind))
    throw new DiskImageError(path, `it is a VMDK of kind "${kind}", which cannot be read`);
  // QEMU looks for this word anywhere in the text, so that any place is refused.
  const parent = /parentCID=(\w*)/.exec(descriptor)?.[1];
  if (descriptor.includes('parentFileNameHint') || (parent !== undefined && !/^f{8}$/i.test(parent)))
    throw new DiskImageError(
      path,
      'it builds on another image (a parent); consolidate it into one image first',
    );
}

function parseExtents(path: string, descriptor: string): Extent[] {
  const extents: Extent[] = [];
  for (const line of descriptor.split('\n')) {
    const [access] = line.trim().split(/\s/);
    if (access !== 'RW' && access !== 'RDONLY' && access !== 'NOACCESS') continue;
    const parts =
      /^RW (\d{1,15}) (FLAT|VMFS|SPARSE) "([A-Za-z0-9][A-Za-z0-9._ -]{0,199})"(?: (\d{1,15}))?$/.exec(
        line.trim(),
      );
    if (!parts)
      throw new DiskImageError(
        path,
        `it consists of other things than files beside it that can be written (${JSON.stringify(line.slice(0, 100))})`,
      );
    extents.push({
      sectors: Number(parts[1]),
      type: parts[2] as Extent['type'],
      file: parts[3] as string,
      offset: Number(parts[4] ?? 0),
    });
  }
  return extents;
}

async function checkExtent(
  { type, sectors, offset }: Extent,
  path: string,
  openFile: OpenFile,
): Promise<{ bytes: number }> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    if (type !== 'SPARSE') {
      if (size < (offset + sectors) * SECTOR)
        throw new DiskImageError(
          path,
          `it has ${size} bytes, and should have ${(offset + sectors) * SECTOR}`,
        );
      return { bytes: size };
    }
    const header = await readVmdkHeader(file, path);
    if (!header) throw new DiskImageError(path, 'it is no part of a sparse VMDK');
    checkSectors(path, header.capacity, sectors);
    if (header.compressed) throw new DiskImageError(path, 'it is compressed, and only a part of a VMDK');
    return { bytes: size };
  } finally {
    await file.close();
  }
}

/** Text up to its first NUL, as QEMU takes it. */
async function readText(file: FileHandle, path: string, offset: number, length: number): Promise<string> {
  if (length > MAX_DESCRIPTOR_BYTES)
    throw new DiskImageError(path, 'it has no header of a VMDK, and is too large for a descriptor');
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  const text = buffer.toString('latin1', 0, bytesRead);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
