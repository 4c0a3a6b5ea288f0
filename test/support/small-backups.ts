import { hash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BLOCK_SIZE } from '../../blocks/port';
import { findBlockMap, openBlockMap, putOnce, readManifest } from '../../repository/backups/backups';
import { type BlockMap } from '../../repository/maps/block-map';
import {
  MAP_PAGE_BLOCKS,
  type MapEntry,
  PACK_MAGIC,
  pageBlocks,
  pagesOf,
} from '../../repository/maps/block-map-format';
import { BlockMapWriter } from '../../repository/maps/block-map-writer';
import { blockMapKey, packKey } from '../../repository/objects/keys';
import { type BackedUpDisk, type BackupManifest } from '../../repository/backups/manifest';
import { MapPageBuilder } from '../../repository/maps/map-page-builder';
import { storeNumbered } from '../../repository/objects/numbered-object';
import { type ObjectStore } from '../../repository/objects/object-store';
import { changedBlocks } from '../../repository/maps/changed-blocks';

/** What a disk of three pages holds: versions by block index; a block that is not there is all zeros. */
export type Contents = ReadonlyMap<number, number>;

export const VM = 'db';
export const BLOCKS = 2 * MAP_PAGE_BLOCKS + 10;
export const DISK_BYTES = BLOCKS * BLOCK_SIZE;
/** Blocks that a small disk may use: four on each page. */
export const INDEXES = [0, 1, MAP_PAGE_BLOCKS, 2 * MAP_PAGE_BLOCKS].flatMap((first) =>
  first === 1 ? [] : [first, first + 1, first + 2, first + 7],
);
/** Blocks a pack, so that even a small backup has several. */
const PACK_BLOCKS = 2;

const cache = new Map<string, { sha256: Buffer; stored: Buffer }>();

/** A block's plain digest and what is stored of it. */
export function small(index: number, version: number): { sha256: Buffer; stored: Buffer } {
  const name = `block ${index} of version ${version}, `;
  let found = cache.get(name);
  if (found === undefined) {
    const plain = Buffer.alloc(BLOCK_SIZE, name);
    found = {
      sha256: hash('sha256', plain, 'buffer'),
      stored: zstdCompressSync(plain),
    };
    cache.set(name, found);
  }
  return found;
}

/** What a backup knows after a crash. */
export interface SmallJournal {
  /** The backup that it builds on. */
  previous: string | undefined;
  packs: { key: string; n: number; entries: Omit<MapEntry, 'pack'>[] }[];
}

const { signal } = new AbortController();

/** Stores a disk as the backup engine does, in miniature: what changed since the previous backup, then the map. */
export async function storeSmallDisk(
  store: ObjectStore,
  {
    backupId,
    disk,
    contents,
    journal,
  }: { backupId: string; disk: string; contents: Contents; journal: SmallJournal },
): Promise<BackedUpDisk> {
  const existing = await findBlockMap(store, VM, backupId, disk);
  if (existing !== undefined) return backedUp(disk, existing);
  const previous = journal.previous === undefined ? undefined : await mapOf(store, journal.previous, disk);
  const before = await readContents(previous);
  const changed = [...contents]
    .filter(([index, version]) => before.get(index) !== version)
    .sort(([a], [b]) => a - b);
  for (let at = journal.packs.length * PACK_BLOCKS; at < changed.length; at += PACK_BLOCKS) {
    const parts: Buffer[] = [PACK_MAGIC];
    const entries: Omit<MapEntry, 'pack'>[] = [];
    for (const [index, version] of changed.slice(at, at + PACK_BLOCKS)) {
      const { sha256, stored } = small(index, version);
      const offset = parts.reduce((sum, { length }) => sum + length, 0);
      entries.push({ index, offset, length: stored.length, encoding: 'zstd', sha256 });
      parts.push(stored);
    }
    const keyOf = (n: number) => packKey(VM, backupId, disk, n);
    let n = (journal.packs.at(-1)?.n ?? -1) + 1;
    const stored = await storeNumbered(store, keyOf, n, () => ++n, Buffer.concat(parts), signal);
    journal.packs.push({ ...stored, entries });
  }

  const entries = journal.packs.flatMap(({ key, entries }) =>
    entries.map((entry) => ({ ...entry, pack: key })),
  );
  const writer = new BlockMapWriter({
    store,
    vm: VM,
    backupId,
    diskKey: disk,
    sizeBytes: DISK_BYTES,
    signal,
  });
  for (let n = 0; n < pagesOf(BLOCKS); n++) {
    const { from, to } = pageBlocks(n, BLOCKS);
    const inPage = (index: number): boolean => index >= from && index < to;
    const ref = previous?.pageRef(n);
    const gone = [...before.keys()].some((index) => inPage(index) && !contents.has(index));
    if (!gone && !entries.some(({ index }) => inPage(index))) {
      if (ref !== undefined) writer.keep(n, ref);
      continue;
    }
    const page = ref && (await previous?.page(n));
    const builder = new MapPageBuilder(n, BLOCKS);
    for (const index of [...contents.keys()].filter(inPage).sort((a, b) => a - b))
      builder.add(entries.find((entry) => entry.index === index) ?? page!.find(index)!);
    await writer.add(builder);
  }
  const bytes = await writer.finish({
    storedBlocks: entries.length,
    storedBytes: entries.reduce((sum, { length }) => sum + length, 0),
  });
  await putOnce(store, blockMapKey(VM, backupId, disk), bytes);
  return backedUp(disk, (await findBlockMap(store, VM, backupId, disk))!);
}

function backedUp(key: string, found: { map: BlockMap; key: string; sha256: string }): BackedUpDisk {
  const { length: dataBlocks, storedBlocks, storedBytes } = found.map;
  return {
    key,
    sizeBytes: DISK_BYTES,
    blockMap: found.key,
    blockMapSha256: found.sha256,
    dataBlocks,
    storedBlocks,
    storedBytes,
  };
}

async function mapOf(store: ObjectStore, backupId: string, disk: string): Promise<BlockMap | undefined> {
  const manifest = await readManifest(store, VM, backupId);
  const found = manifest?.disks.find(({ key }) => key === disk);
  if (found === undefined) throw new Error(`${backupId}, which is built on, is gone`);
  return openBlockMap(store, VM, found);
}

/** The contents that a map stands for, by its digests alone. */
async function readContents(map: BlockMap | undefined): Promise<Map<number, number>> {
  const contents = new Map<number, number>();
  if (map === undefined) return contents;
  for await (const page of changedBlocks(map))
    for (const { index, entry } of page) contents.set(index, versionOf(index, entry!.sha256));
  return contents;
}

function versionOf(index: number, sha256: Buffer): number {
  for (let version = 0; version < 1000; version++)
    if (small(index, version).sha256.equals(sha256)) return version;
  throw new Error(`block ${index} has no version that was ever written`);
}

const digests = new Map<string, Buffer>();

/**
 * Digest of what stored bytes unpack to. A test reads the same few blocks thousands of times, and each is half a MiB to
 * unpack and to digest, of some hundred bytes that are looked up as they are.
 * @throws where they do not unpack
 */
function plainDigest(stored: Buffer): Buffer {
  const name = stored.toString('latin1');
  let found = digests.get(name);
  if (found === undefined) {
    // At once, not in zlib's threads: a simulation has to go the same way every time.
    found = hash('sha256', zstdDecompressSync(stored), 'buffer');
    digests.set(name, found);
  }
  return found;
}

/** Reads a backed-up disk whole, verifying every block, and tells what it holds. */
export async function readSmallDisk(store: ObjectStore, disk: BackedUpDisk): Promise<Contents> {
  const map = await openBlockMap(store, VM, disk);
  const contents = new Map<number, number>();
  for await (const page of changedBlocks(map))
    for (const { index, entry } of page) {
      const stored = await store.getRange(entry!.pack, entry!.offset, entry!.length);
      const sha256 = plainDigest(stored);
      if (!sha256.equals(entry!.sha256)) throw new Error(`block ${index} is damaged`);
      contents.set(index, versionOf(index, sha256));
    }
  return contents;
}

/** A manifest with these disks. */
export function smallManifest(
  backupId: string,
  takenAt: string,
  disks: BackedUpDisk[],
  previous?: string,
): BackupManifest {
  return {
    version: 1,
    vm: VM,
    backupId,
    takenAt,
    consistency: 'crash',
    configuration: {
      cpus: 1,
      memoryMiB: 512,
      firmware: 'bios',
      nics: [],
      guestOs: 'debian12-64',
      disks: disks.map(({ key, sizeBytes }, slot) => ({ key, sizeBytes, slot, boot: slot === 0 })),
    },
    ...(previous === undefined ? {} : { previous }),
    disks,
  };
}

/** A backup id of that time. @param n tells backups of the same second apart */
export function idAt(time: Date, n: number): string {
  return `${time.toISOString().replace(/[-:]|\.\d+/g, '')}-${n.toString(16).padStart(8, '0')}`;
}
