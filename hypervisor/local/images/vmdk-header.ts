import { type FileHandle } from 'node:fs/promises';
import { COPY_AGAIN, CONVERT, DiskImageError } from './image-error';
import { CONSOLIDATE } from './vmdk-kinds';

/** The header of a sparse VMDK, from VMware's "Virtual Disk Format 5.0": little-endian, everything in sectors. */

export const SECTOR = 512;

/** The bytes at the start of a file that make it a sparse VMDK. */
export const VMDK_MAGIC = 'KDMV';

/** A sparse file of ESXi's: the deltas of snapshots, vmfsSparse. */
export const COWD_MAGIC = 'COWD';

/** A sparse file of newer ESXi's: the deltas of snapshots, seSparse (QEMU's block/vmdk.c; VMware tells nothing of it). */
export function isSeSparse(start: Buffer | undefined): boolean {
  return start !== undefined && start.length >= 8 && start.readBigUInt64LE(0) === 0xcafebaben;
}

const COMPRESSED = 1 << 16;

/** In place of the grain directory's offset: the true header is at the file's end (streamOptimized). */
const GRAIN_DIRECTORY_AT_END = 0xffff_ffff_ffff_ffffn;

export interface VmdkHeader {
  /** Sectors of the disk. */
  capacity: number;
  descriptorOffset: number;
  descriptorSectors: number;
  compressed: boolean;
  version: number;
}

/** The header at a file's start; undefined where it has none, and may be a descriptor. @throws DiskImageError */
export async function readVmdkHeader(file: FileHandle, path: string): Promise<VmdkHeader | undefined> {
  const first = await readSector(file, 0);
  if (first?.toString('latin1', 0, 4) === COWD_MAGIC || isSeSparse(first))
    throw new DiskImageError(path, 'it is the data of an open snapshot (COWD or seSparse)', CONSOLIDATE);
  if (first?.toString('latin1', 0, 4) !== VMDK_MAGIC) return undefined;
  const header = parse(first);
  if (first.readBigUInt64LE(56) === GRAIN_DIRECTORY_AT_END) {
    // Footer, then the end-of-stream marker; QEMU believes what is there and not what is here.
    const { size } = await file.stat();
    const footer = await readSector(file, size - 2 * SECTOR);
    if (footer?.toString('latin1', 0, 4) !== VMDK_MAGIC)
      throw new DiskImageError(path, 'its end is missing, as when it was not copied whole', COPY_AGAIN);
    if (parse(footer).capacity !== header.capacity)
      throw new DiskImageError(path, 'its header and its footer contradict each other', COPY_AGAIN);
  }
  // With a capacity of 0, QEMU takes the file for a descriptor, and what that names for the disk.
  if (header.capacity === 0) throw new DiskImageError(path, 'it is a VMDK without a size', CONVERT);
  return header;
}

function parse(sector: Buffer): VmdkHeader {
  return {
    capacity: Number(sector.readBigUInt64LE(12)),
    descriptorOffset: Number(sector.readBigUInt64LE(28)),
    descriptorSectors: Number(sector.readBigUInt64LE(36)),
    version: sector.readUInt32LE(4),
    compressed: (sector.readUInt32LE(8) & COMPRESSED) !== 0 || sector.readUInt16LE(77) !== 0,
  };
}

async function readSector(file: FileHandle, offset: number): Promise<Buffer | undefined> {
  if (offset < 0) return undefined;
  const sector = Buffer.alloc(SECTOR);
  const { bytesRead } = await file.read(sector, 0, SECTOR, offset);
  return bytesRead === SECTOR ? sector : undefined;
}
