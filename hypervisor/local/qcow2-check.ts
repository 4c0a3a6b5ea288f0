import { type FileHandle } from 'node:fs/promises';
import { DiskImageError } from './image-error';

/** "QFI\xfb". */
const MAGIC = 0x514649fb;

/** Bit of the incompatible features: the guest's data is in another file, which the image names. */
const EXTERNAL_DATA_FILE = 1n << 2n;

/** Reads a qcow2 header (docs/interop/qcow2.txt of QEMU). @throws DiskImageError; see {@link checkImage} */
export async function checkQcow2(file: FileHandle, path: string, sizeBytes: number): Promise<void> {
  const refuse = (reason: string): never => {
    throw new DiskImageError(path, reason);
  };
  const header = Buffer.alloc(104);
  // Version 2 has 72 bytes; its clusters make every image far longer than a version 3 header.
  const { bytesRead } = await file.read(header, 0, header.length, 0);
  if (bytesRead < header.length || header.readUInt32BE(0) !== MAGIC) refuse('it is no qcow2 image');
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3) refuse(`it is a qcow2 image of version ${version}`);
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0)
    refuse('it builds on another image (a backing file); commit or convert it into one image first');
  if (header.readUInt32BE(32) !== 0) refuse('it is encrypted');
  if (version === 3 && (header.readBigUInt64BE(72) & EXTERNAL_DATA_FILE) !== 0n)
    refuse('its data is in another file (an external data file); convert it into one image first');
  const size = header.readBigUInt64BE(24);
  if (size !== BigInt(sizeBytes)) refuse(`it is a disk of ${size} bytes, and the VM's has ${sizeBytes}`);
}
