import { type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exists } from '../../../host/if-exists';
import { type CheckedImage, type ImagePart, type ReadOnly } from './checked-image';
import { CONVERT, COPY_AGAIN, DiskImageError } from './image-error';
import { openPlainFile, readBytes } from './plain-file';
import {
  contentId,
  type Descriptor,
  DescriptorError,
  type Extent,
  isFileName,
  readDescriptor,
  unreadable,
} from './vmdk-descriptor';
import { readVmdkHeader, SECTOR, type VmdkHeader } from './vmdk-header';
import { checkKind, CONSOLIDATE } from './vmdk-kinds';

/** QEMU reads no more of a descriptor; one with 2 GiB extents has some forty bytes for each. */
const MAX_DESCRIPTOR_BYTES = 2 ** 20 - 1;

/** Where QEMU takes the descriptor of a sparse VMDK to be, whatever the header says: behind the header. */
const EMBEDDED_SECTOR = 1;

const COMPRESSED: ReadOnly = {
  reason: 'it is compressed (streamOptimized) and can only be read',
  advice: 'Convert it by "qemu-img convert" to run its VM',
};
/** VMware's KB 2064959: a sparse disk of version 3 has a list of changed blocks, which a writer would have to keep. */
const TRACKED: ReadOnly = {
  reason: 'it is a sparse VMDK of version 3 (with changed block tracking), which QEMU only reads',
  advice: 'Convert it by "qemu-img convert" to run its VM',
};

/** A VMDK that may be used, and what tells whether something builds on it. */
export interface CheckedVmdk extends CheckedImage {
  contentId?: number | undefined;
}

/** @throws DiskImageError; see {@link checkImage} */
export async function checkVmdk(file: FileHandle, path: string, sizeBytes: number): Promise<CheckedVmdk> {
  try {
    const header = await readVmdkHeader(file, path);
    return header
      ? await checkSparse(file, path, sizeBytes / SECTOR, header)
      : await checkParts(file, path, sizeBytes);
  } catch (error) {
    if (error instanceof DescriptorError) throw new DiskImageError(path, error.reason, error.advice);
    throw error;
  }
}

async function checkSparse(
  file: FileHandle,
  path: string,
  sectors: number,
  header: VmdkHeader,
): Promise<CheckedVmdk> {
  const { size } = await file.stat();
  const { descriptorOffset, descriptorSectors } = header;
  if (descriptorOffset === 0) throw withoutDescriptor(path);
  if (descriptorOffset !== EMBEDDED_SECTOR)
    throw new DiskImageError(path, 'its descriptor is not behind its header, where QEMU reads it', CONVERT);
  if (descriptorOffset + descriptorSectors > size / SECTOR)
    throw new DiskImageError(path, 'it ends before its descriptor does', COPY_AGAIN);
  const text = await readText(file, path, descriptorOffset * SECTOR, descriptorSectors * SECTOR);
  if (text.length === 0) throw withoutDescriptor(path);
  const descriptor = readDescriptor(text);
  checkKind(descriptor, true);
  checkEmbeddedIds(descriptor, text);
  checkSectors(path, header.capacity, sectors);
  const readOnly = header.compressed ? COMPRESSED : header.version > 2 ? TRACKED : undefined;
  return {
    ...(readOnly ? { readOnly } : {}),
    files: [path],
    contentId: contentId(descriptor.values.get('cid')),
  };
}

/**
 * QEMU finds the ids of a descriptor by their first letters, wherever those stand, and when it writes it puts the parent's
 * behind the disk's own; in a file whose descriptor is in it, that must be what it is anyway.
 */
function checkEmbeddedIds({ values, lineOf }: Descriptor, text: Buffer): void {
  const cid = lineOf('cid');
  const parent = lineOf('parentcid');
  const advice = CONVERT;
  if (cid === undefined || parent === undefined)
    throw new DescriptorError(`its descriptor has no ${cid === undefined ? 'CID' : 'parentCID'}`, advice);
  if (contentId(values.get('cid')) === undefined || !/^CID=\w/.test(cid.bytes))
    throw unreadable(cid, 'is not as QEMU reads it: CID= and eight hexadecimal digits', advice);
  if (!/^parentCID=\w/.test(parent.bytes) || parent.number < cid.number)
    throw unreadable(
      parent,
      'is not as QEMU reads it: parentCID=ffffffff, behind the line of the CID',
      advice,
    );
  const first = text.indexOf('CID');
  if (text.subarray(0, first).toString('latin1').split('\n').length !== cid.number)
    throw new DescriptorError(`its descriptor has the letters CID before line ${cid.number}`, advice);
}

async function checkParts(file: FileHandle, path: string, sizeBytes: number): Promise<CheckedVmdk> {
  const { size } = await file.stat();
  const descriptor = readDescriptor(await readText(file, path, 0, size));
  checkKind(descriptor, false);
  const { extents, values } = descriptor;
  checkSectors(
    path,
    extents.reduce((sum, extent) => sum + extent.sectors, 0),
    sizeBytes / SECTOR,
  );
  const files = new Set([path]);
  const parts: ImagePart[] = [];
  let rawFile: string | undefined;
  for (const extent of extents) {
    const { part, bytes } = await checkExtent(extent, dirname(path));
    parts.push(part);
    if (part.type === 'ZERO') continue;
    files.add(part.path);
    if (extents.length === 1 && part.type === 'FLAT' && part.offsetSectors === 0 && bytes === sizeBytes)
      rawFile = part.path;
  }
  const readOnly = readOnlyExtent(extents);
  return {
    ...(readOnly ? { readOnly } : {}),
    files: [...files],
    ...(rawFile === undefined ? {} : { rawFile }),
    parts,
    contentId: contentId(values.get('cid')),
  };
}

function readOnlyExtent(extents: readonly Extent[]): ReadOnly | undefined {
  const found = extents.find(({ access, type }) => access !== 'RW' || type === 'ZERO');
  if (!found) return undefined;
  const { reason } = unreadable(
    found.line,
    found.access === 'RW' ? 'has no file to write to (ZERO)' : 'is only to be read (RDONLY)',
  );
  return { reason, advice: 'Convert it by "qemu-img convert" to run its VM' };
}

async function checkExtent(extent: Extent, directory: string): Promise<{ part: ImagePart; bytes: number }> {
  const { type, sectors, line } = extent;
  if (type === 'ZERO') return { part: { type, sectors }, bytes: 0 };
  const path = join(directory, await existingName(extent, directory));
  const file = await openPlainFile(path);
  try {
    const { size } = await file.stat();
    if (type !== 'SPARSE') {
      const offsetSectors = extent.offset;
      if (size < (offsetSectors + sectors) * SECTOR)
        throw new DiskImageError(
          path,
          `it has ${size} bytes, and should have ${(offsetSectors + sectors) * SECTOR}`,
          COPY_AGAIN,
        );
      return { part: { type: 'FLAT', sectors, path, offsetSectors }, bytes: size };
    }
    if (extent.offset !== 0) throw unreadable(line, 'has an offset into a sparse file', CONVERT);
    const header = await readVmdkHeader(file, path);
    if (!header) throw new DiskImageError(path, 'it is no part of a sparse VMDK', COPY_AGAIN);
    if (header.capacity !== sectors)
      throw new DiskImageError(
        path,
        `it is ${header.capacity} sectors of a disk, and line ${line.number} of the descriptor says ${sectors}`,
        COPY_AGAIN,
      );
    if (header.compressed)
      throw new DiskImageError(path, 'it is compressed, and only a part of a VMDK', CONVERT);
    if (header.version > 2) throw new DiskImageError(path, TRACKED.reason, CONVERT);
    return { part: { type: 'SPARSE', sectors, path, offsetSectors: 0 }, bytes: size };
  } finally {
    await file.close();
  }
}

/** Which of the names that a line may mean is there; the likeliest where none is. */
async function existingName({ names, line }: Extent, directory: string): Promise<string> {
  const possible = names.filter(isFileName);
  for (const name of possible) if (await exists(join(directory, name))) return name;
  const [first] = possible;
  if (first === undefined)
    throw unreadable(
      line,
      'names other things than files beside it',
      "Put all files of the disk into the VM's directory, and name them in the descriptor without a path",
    );
  return first;
}

function checkSectors(path: string, found: number, expected: number): void {
  if (found !== expected)
    throw new DiskImageError(
      path,
      `it is a disk of ${found * SECTOR} bytes, and the VM's has ${expected * SECTOR}`,
      'Correct sizeBytes of the disk in vm.json, or name the right image there',
    );
}

/** Text up to its first NUL, as QEMU takes it. */
async function readText(file: FileHandle, path: string, offset: number, length: number): Promise<Buffer> {
  if (length > MAX_DESCRIPTOR_BYTES) throw notADescriptor(path);
  const bytes = await readBytes(file, offset, length);
  const end = bytes.indexOf(0);
  // UTF-16 has NULs everywhere; readDescriptor says what it is.
  return end < 0 || (bytes[0] === 0xff && bytes[1] === 0xfe) ? bytes : bytes.subarray(0, end);
}

function withoutDescriptor(path: string): DiskImageError {
  return new DiskImageError(
    path,
    'it is a part of a VMDK (of kind twoGbMaxExtentSparse), or has lost its descriptor',
    "Name the disk's descriptor, a small text file, in vm.json",
  );
}

function notADescriptor(path: string): DiskImageError {
  const name = basename(path);
  const reason = 'it has no header of a VMDK, and is too large for a descriptor';
  const delta = /-\d{6}-(?:delta|sesparse)\.vmdk$/i.test(name);
  if (delta)
    return new DiskImageError(path, `${reason}: by its name it is the data of an open snapshot`, CONSOLIDATE);
  const flat = /^(.+)-(?:flat|f\d{3})(\.vmdk)$/i.exec(name);
  return new DiskImageError(
    path,
    reason,
    flat
      ? `It is the disk's bytes: name its descriptor, "${flat[1]}${flat[2]}", in vm.json, or say that its format is raw`
      : "Name the disk's descriptor, a small text file, in vm.json",
  );
}
