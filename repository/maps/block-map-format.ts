import { BLOCK_SIZE } from '../../blocks/port';
import { MAX_OBJECT_KEY_BYTES } from '../objects/keys';

/**
 * Numbers of the block map format, version 2; docs/repository-format.md describes it. All integers are unsigned and
 * big-endian.
 */
export const MAP_MAGIC = Buffer.from('LBBLKMAP', 'latin1');
export const MAP_VERSION = 2;
/**
 * Blocks that a page tells of: 4 GiB of disk. A full page takes 400 KB, which is what a backup writes anew for a block
 * that changed in it; the directory of 64 TiB of data takes less than 2 MiB.
 */
export const MAP_PAGE_BLOCKS = 8192;
/** Magic, version, block size, blocks a page, disk size, data blocks, stored blocks, stored bytes, objects, pages. */
export const MAP_HEADER_BYTES = 8 + 4 + 4 + 4 + 8 + 4 + 4 + 8 + 4 + 4;
/** Page number, object number, offset, length, entry count, SHA-256 of the page. */
export const MAP_REF_BYTES = 4 + 4 + 4 + 4 + 4 + 32;

export const PAGE_MAGIC = Buffer.from('LBMAPPAG', 'latin1');
/** Magic, page number, entry count, pack count. */
export const PAGE_HEADER_BYTES = 8 + 4 + 4 + 4;
/** Block index, pack number, offset, encoding and stored length in one word, SHA-256 of the plain block. */
export const MAP_ENTRY_BYTES = 4 + 4 + 4 + 4 + 32;
export const SHA256_BYTES = 32;
/** No object with pages is larger; they are closed long before. */
export const MAX_PAGE_OBJECT_BYTES = 16 * 2 ** 20;

/** EBS's largest volume is 64 TiB; no disk beyond it can be recovered, so no map of one is believed. */
export const MAX_DISK_BYTES = 64 * 2 ** 40;
/** Disks are made of sectors. */
export const SECTOR_BYTES = 512;

export const PACK_MAGIC = Buffer.from('LBPACK01', 'latin1');
/**
 * Room for a pack: 32 blocks that cannot be compressed, 16 MiB. It is closed when what is being read may not fit any
 * more, so most have 8 to 16 MiB: large enough for few requests, small enough for several under way at once and little
 * to send again after a crash.
 */
export const PACK_BYTES = PACK_MAGIC.length + 32 * BLOCK_SIZE;
/** None is ever larger than this, whoever wrote it. */
export const MAX_PACK_BYTES = 64 * 2 ** 20;

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

/** Where a page of a block map is stored, and what it must hash to. */
export interface MapPageRef {
  /** Key of the object with the page. */
  key: string;
  /** Byte offset in that object. */
  offset: number;
  /** Bytes of the page. */
  length: number;
  /** Digest of those bytes. */
  sha256: Buffer;
  /** Blocks in it that are not all zeros. */
  entries: number;
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

/** Pages of a block map of so many blocks. */
export function pagesOf(blocks: number): number {
  return Math.ceil(blocks / MAP_PAGE_BLOCKS);
}

/** First block of a page of a disk with so many blocks, and the one after its last. */
export function pageBlocks(n: number, blocks: number): { from: number; to: number } {
  return { from: n * MAP_PAGE_BLOCKS, to: Math.min((n + 1) * MAP_PAGE_BLOCKS, blocks) };
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

/**
 * @param previousIndex that of the entry before, or one less than the page's first block
 * @param end the block after the page's last
 * @throws BlockMapError where the entry cannot be true
 */
export function checkEntry(
  entry: Omit<MapEntry, 'pack' | 'sha256'>,
  previousIndex: number,
  end: number,
): void {
  const { index, offset, length, encoding } = entry;
  if (index <= previousIndex) throw new BlockMapError(`block ${index} follows block ${previousIndex}`);
  if (index >= end) throw new BlockMapError(`block ${index} is past the end of its page or disk, ${end}`);
  if (offset < PACK_MAGIC.length || offset + length > MAX_PACK_BYTES)
    throw new BlockMapError(`block ${index} is said to be at ${offset} to ${offset + length} of its pack`);
  if (length < 1 || (encoding === 'raw' ? length !== BLOCK_SIZE : length >= BLOCK_SIZE))
    throw new BlockMapError(`block ${index} is said to take ${length} bytes as ${encoding}`);
}

/** @throws BlockMapError where a page of a disk with so many blocks cannot be there or have that many entries */
export function checkPageRef(n: number, ref: Omit<MapPageRef, 'key' | 'sha256'>, blocks: number): void {
  const { offset, length, entries } = ref;
  if (n >= pagesOf(blocks)) throw new BlockMapError(`page ${n} is past the end of the disk`);
  const { from, to } = pageBlocks(n, blocks);
  if (entries < 1 || entries > to - from)
    throw new BlockMapError(`page ${n} is said to have ${entries} entries`);
  const least = PAGE_HEADER_BYTES + entries * MAP_ENTRY_BYTES;
  // At most each block in a pack of its own.
  if (length <= least || length > least + entries * (2 + MAX_OBJECT_KEY_BYTES))
    throw new BlockMapError(`page ${n} is said to take ${length} bytes`);
  if (offset + length > MAX_PAGE_OBJECT_BYTES)
    throw new BlockMapError(`page ${n} is said to be at ${offset} to ${offset + length} of its object`);
}
