import { type FileHandle } from 'node:fs/promises';
import { DiskImageError } from './image-error';
import { readBytes } from './plain-file';

/** "QFI\xfb". */
const MAGIC = 0x514649fb;

const CONVERT =
  'Make one image of it, of version 3, that needs no other (by "qemu-img convert") and name that in vm.json';

/** Bit of the incompatible features: the guest's data is in another file, which the image names. */
const EXTERNAL_DATA_FILE = 1n << 2n;

/** Reads a qcow2 header (docs/interop/qcow2.txt of QEMU). @throws DiskImageError; see {@link checkImage} */
export async function checkQcow2(file: FileHandle, path: string, sizeBytes: number): Promise<void> {
  const refuse = (reason: string, advice: string): never => {
    throw new DiskImageError(path, reason, advice);
  };
  const header = Buffer.alloc(104);
  // Version 2 has 72 bytes; its clusters make every image far longer than a version 3 header.
  const { bytesRead } = await file.read(header, 0, header.length, 0);
  if (bytesRead < header.length || header.readUInt32BE(0) !== MAGIC)
    refuse('it is no qcow2 image', 'Name its true format in vm.json, or copy it again');
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3) refuse(`it is a qcow2 image of version ${version}`, CONVERT);
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0)
    refuse('it builds on another image (a backing file)', CONVERT);
  if (header.readUInt32BE(32) !== 0) refuse('it is encrypted', CONVERT);
  if (version === 3 && (header.readBigUInt64BE(72) & EXTERNAL_DATA_FILE) !== 0n)
    refuse('its data is in another file (an external data file)', CONVERT);
  const size = header.readBigUInt64BE(24);
  if (size !== BigInt(sizeBytes))
    refuse(
      `it is a disk of ${size} bytes, and the VM's has ${sizeBytes}`,
      'Correct sizeBytes of the disk in vm.json, or name the right image there',
    );
}

/** Which file a qcow2 image builds on, as its header names it; undefined where it is none, or whole. */
export async function qcow2Backing(file: FileHandle): Promise<string | undefined> {
  const header = await readBytes(file, 0, 20);
  if (header.length < 20 || header.readUInt32BE(0) !== MAGIC) return undefined;
  const offset = header.readBigUInt64BE(8);
  const length = header.readUInt32BE(16);
  // The format's own limit; and it stands in the first cluster, of 2 MiB at most.
  if (offset === 0n || length === 0 || length > 1023 || offset > 2 ** 21) return undefined;
  return (await readBytes(file, Number(offset), length)).toString('utf8');
}
