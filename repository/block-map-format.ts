import { BLOCK_SIZE } from '../blocks/port';

/**
 * Numbers of the block map format, version 1; docs/repository-format.md describes it. All integers are unsigned and
 * big-endian.
 */
export const MAP_MAGIC = Buffer.from('LBBLKMAP', 'latin1');
export const MAP_VERSION = 1;
/** Magic, version, block size, disk size, entry count, pack count. */
export const MAP_HEADER_BYTES = 8 + 4 + 4 + 8 + 4 + 4;
/** Block index, pack number, offset, encoding and stored length in one word, SHA-256 of the plain block. */
export const MAP_ENTRY_BYTES = 4 + 4 + 4 + 4 + 32;
export const SHA256_BYTES = 32;

/** EBS's largest volume is 64 TiB; no disk beyond it can be recovered, so no map of one is believed. */
export const MAX_DISK_BYTES = 64 * 2 ** 40;
/** Disks are made of sectors. */
export const SECTOR_BYTES = 512;

export const PACK_MAGIC = Buffer.from('LBPACK01', 'latin1');
/** A pack is closed when it reaches this: few requests, yet little memory and little to send again after a crash. */
export const PACK_TARGET_BYTES = 32 * 2 ** 20;
/** A pack takes the last extent of blocks whole, and so may grow past its target; none is ever larger than this. */
export const MAX_PACK_BYTES = 2 * PACK_TARGET_BYTES;

/** How a block is stored in a pack. */
export type Encoding = 'raw' | 'zstd';
export const ENCODING_CODES: Record<Encoding, number> = { raw: 0, zstd: 1 };

/** Where a block that is not all zeros is stored, and what it must hash to. */
export interface MapEntry {
  index: number;
  /** Key of the pack object. */
  pack: string;
  /** Byte offset in the pack. */
  offset: number;
  /** Stored bytes. */
  length: number;
  encoding: Encoding;
  /** Digest of the plain block of BLOCK_SIZE bytes. */
  sha256: Buffer;
}

/** A block map that is not what it says: cut, damaged, or made up. */
export class BlockMapError extends Error {
  constructor(message: string) {
    super(`Invalid block map: ${message}.`);
    this.name = 'BlockMapError';
  }
}

/** Blocks in a disk of that size, the last of which may be partly filled. */
export function blockCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_SIZE);
}

/** @throws BlockMapError where no disk can have the size */
export function checkDiskSize(sizeBytes: number): void {
  if (
    !Number.isSafeInteger(sizeBytes) ||
    sizeBytes <= 0 ||
    sizeBytes > MAX_DISK_BYTES ||
    sizeBytes % SECTOR_BYTES !== 0
  )
    throw new BlockMapError(`${sizeBytes} bytes is no size of a disk`);
}

/** @throws BlockMapError where the entry cannot be true */
export function checkEntry(
  entry: Omit<MapEntry, 'pack' | 'sha256'>,
  previousIndex: number,
  blocks: number,
): void {
  const { index, offset, length, encoding } = entry;
  if (index <= previousIndex) throw new BlockMapError(`block ${index} follows block ${previousIndex}`);
  if (index >= blocks)
    throw new BlockMapError(`block ${index} is past the end of the disk, which has ${blocks}`);
  if (offset < PACK_MAGIC.length || offset + length > MAX_PACK_BYTES)
    throw new BlockMapError(`block ${index} is said to be at ${offset} to ${offset + length} of its pack`);
  if (length < 1 || (encoding === 'raw' ? length !== BLOCK_SIZE : length >= BLOCK_SIZE))
    throw new BlockMapError(`block ${index} is said to take ${length} bytes as ${encoding}`);
}
