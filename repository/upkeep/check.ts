import { type CopyProgress } from '../../blocks/progress';
import { openBlockMap, readManifest } from '../backups/backups';
import { type BlockMap } from '../maps/block-map';
import { MAP_PAGE_BLOCKS, type MapPageRef } from '../maps/block-map-format';
import { checkBlocks, type NeededBlock } from './check-blocks';
import { type Damage, Findings } from './check-findings';
import { checkVmName, manifestKey, parseVmKey } from '../objects/keys';
import { type BackupManifest } from '../backups/manifest';
import { type MapPage } from '../maps/map-page';
import { ObjectNumbers } from '../objects/object-numbers';
import { type ObjectStore } from '../objects/object-store';
import { readPins } from '../backups/pins';

export interface Check {
  store: ObjectStore;
  vm: string;
  /** Reads every block, too, rather than looking only whether its pack is there and long enough. */
  readData: boolean;
  signal: AbortSignal;
  onProgress(progress: CopyProgress): void;
}

/** What is known of a VM's backups after a check. */
export interface Checked {
  vm: string;
  recoveryPoints: { backupId: string; takenAt: string | undefined; whole: boolean }[];
  damages: Damage[];
  /** Objects that no recovery point needs: of unfinished or retired backups, or left by repeated work. No damage. */
  unneeded: { objects: number; bytes: number };
  /** What was read and verified. */
  read: { pages: number; blocks: number; bytes: number };
}

interface Listing {
  /** Sizes in bytes, plus one, by key. */
  sizes: ObjectNumbers;
  /** Ids of the backups in use; of those that are retired; and of those that have a block map. */
  inUse: Set<string>;
  retired: Set<string>;
  mapped: Set<string>;
}

/**
 * Finds every object of a VM's recovery points that is missing or damaged, and says which of them suffer. Objects that
 * recovery points share are read once. Changes nothing.
 */
export async function check(job: Check): Promise<Checked> {
  const { store, vm } = job;
  const findings = new Findings();
  const listing = await list(store, vm);
  const manifests = await readManifests(job, listing, findings);
  const needed = new ObjectNumbers();
  const read = { pages: 0, blocks: 0, bytes: 0 };

  const disks = new Map<string, Map<string, BlockMap>>();
  for (const manifest of manifests)
    for (const disk of manifest.disks) {
      needed.set(disk.blockMap, 1);
      try {
        const map = await openBlockMap(store, vm, disk);
        const maps = disks.get(disk.key) ?? new Map<string, BlockMap>();
        disks.set(disk.key, maps.set(manifest.backupId, map));
      } catch (error) {
        findings.addError(error, [manifest.backupId]);
      }
    }
  for (const [disk, maps] of disks) await checkDisk(job, { disk, maps, listing, needed, findings, read });
  await findLostManifests(job, listing, needed, findings);

  const damages = findings.damages();
  const suffering = new Set(damages.flatMap(({ recoveryPoints }) => recoveryPoints));
  const dates = new Map(manifests.map(({ backupId, takenAt }) => [backupId, takenAt]));
  const points = new Set([...listing.inUse, ...suffering]);
  return {
    vm,
    recoveryPoints: [...points].sort().map((backupId) => ({
      backupId,
      takenAt: dates.get(backupId),
      whole: !suffering.has(backupId),
    })),
    damages,
    unneeded: unneededObjects(listing.sizes, needed),
    read,
  };
}

async function list(store: ObjectStore, vm: string): Promise<Listing> {
  const sizes = new ObjectNumbers();
  const [finished, retired, mapped] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for await (const { key, bytes } of store.list(`${checkVmName(vm)}/`)) {
    const { backupId, kind } = parseVmKey(vm, key) ?? {};
    if (backupId === undefined) continue;
    if (kind === 'manifest') finished.add(backupId);
    else if (kind === 'retired') retired.add(backupId);
    else sizes.set(key, bytes + 1);
    if (kind === 'map') mapped.add(backupId);
  }
  return { sizes, inUse: new Set([...finished].filter((id) => !retired.has(id))), retired, mapped };
}

async function readManifests(
  { store, vm }: Check,
  { inUse }: Listing,
  findings: Findings,
): Promise<BackupManifest[]> {
  const manifests: BackupManifest[] = [];
  for (const id of [...inUse].sort()) {
    try {
      const manifest = await readManifest(store, vm, id);
      if (manifest === undefined) inUse.delete(id);
      else manifests.push(manifest);
    } catch (error) {
      findings.addError(error, [id]);
    }
  }
  return manifests;
}

interface DiskCheck {
  disk: string;
  /** By backup. */
  maps: Map<string, BlockMap>;
  listing: Listing;
  needed: ObjectNumbers;
  findings: Findings;
  read: Checked['read'];
}

/** Checks all versions of a disk together, page number by page number: what they share is then known at once. */
async function checkDisk(job: Check, check: DiskCheck): Promise<void> {
  const { vm, signal, onProgress } = job;
  const { maps, disk, read } = check;
  const totalBlocks = Math.max(...[...maps.values()].map(({ blocks }) => blocks));
  const numbers = new Set([...maps.values()].flatMap((map) => [...map.pages()]));
  for (const n of [...numbers].sort((a, b) => a - b)) {
    signal.throwIfAborted();
    const needed = new Map<string, NeededBlock>();
    for (const version of versionsOf(maps, n)) {
      const page = await readPage(check, version);
      if (page !== undefined) noteBlocks(check, page, version.suffering, job.readData ? needed : undefined);
    }
    await checkBlocks(job.store, [...needed.values()], check.findings, signal, (blocks, bytes) => {
      read.blocks += blocks;
      read.bytes += bytes;
    });
    const doneBlocks = Math.min(totalBlocks, (n + 1) * MAP_PAGE_BLOCKS);
    onProgress({ what: 'check', vm, disk, doneBlocks, totalBlocks, bytes: read.bytes });
  }
  onProgress({ what: 'check', vm, disk, doneBlocks: totalBlocks, totalBlocks, bytes: read.bytes });
}

/** A page as one or several backups have it. */
interface PageVersion {
  n: number;
  ref: MapPageRef;
  map: BlockMap;
  suffering: Set<string>;
}

function versionsOf(maps: Map<string, BlockMap>, n: number): Iterable<PageVersion> {
  const versions = new Map<string, PageVersion>();
  for (const [backupId, map] of maps) {
    const ref = map.pageRef(n);
    if (ref === undefined) continue;
    // The end of a disk that was resized decides which entries are allowed, so it belongs to the version.
    const identity = [
      ref.key,
      ref.offset,
      ref.length,
      ref.sha256.toString('hex'),
      ref.entries,
      map.blocks,
    ].join(' ');
    const version = versions.get(identity);
    if (version === undefined) versions.set(identity, { n, ref, map, suffering: new Set([backupId]) });
    else version.suffering.add(backupId);
  }
  return versions.values();
}

async function readPage(
  { listing, needed, findings, read }: DiskCheck,
  { n, ref, map, suffering }: PageVersion,
): Promise<MapPage | undefined> {
  needed.set(ref.key, 1);
  if (!isThere(listing.sizes, ref.key, ref.offset + ref.length, findings, suffering)) return undefined;
  try {
    const page = await map.page(n);
    read.pages++;
    read.bytes += ref.length;
    return page;
  } catch (error) {
    findings.addError(error, suffering);
    return undefined;
  }
}

/** Looks whether the packs of a page are there, and gathers the blocks that are to be read. */
function noteBlocks(
  { listing, needed, findings }: DiskCheck,
  page: MapPage,
  suffering: Set<string>,
  toRead: Map<string, NeededBlock> | undefined,
): void {
  const ends = new Map<string, number>();
  for (let position = 0; position < page.length; position++) {
    const { pack, offset, length } = page.at(position);
    ends.set(pack, Math.max(ends.get(pack) ?? 0, offset + length));
  }
  const there = new Set<string>();
  for (const [pack, end] of ends) {
    needed.set(pack, 1);
    if (isThere(listing.sizes, pack, end, findings, suffering)) there.add(pack);
  }
  if (toRead === undefined) return;
  for (let position = 0; position < page.length; position++) {
    const entry = page.at(position);
    if (!there.has(entry.pack)) continue;
    const { pack, offset, length, encoding, sha256 } = entry;
    const identity = [pack, offset, length, encoding, sha256.toString('base64')].join(' ');
    const known = toRead.get(identity);
    if (known !== undefined) for (const id of suffering) known.suffering.add(id);
    // A copy, so that one block of a page does not hold on to all of it.
    else
      toRead.set(identity, {
        entry: { ...entry, sha256: Buffer.from(sha256) },
        suffering: new Set(suffering),
      });
  }
}

function isThere(
  sizes: ObjectNumbers,
  key: string,
  end: number,
  findings: Findings,
  suffering: Iterable<string>,
): boolean {
  const size = sizes.get(key) - 1;
  if (size >= end) return true;
  findings.add(key, size < 0 ? 'it is missing' : `it has ${size} bytes only, of at least ${end}`, suffering);
  return false;
}

/**
 * Recovery points without a manifest: others need what they stored, or they have a block map and nobody is at work on
 * them any more. A backup that is under way has a pin until its manifest is there.
 */
async function findLostManifests(
  { store, vm }: Check,
  { inUse, retired, mapped }: Listing,
  needed: ObjectNumbers,
  findings: Findings,
): Promise<void> {
  const candidates = new Set(mapped);
  for (const [key] of needed) candidates.add(parseVmKey(vm, key)!.backupId);
  const pinned = new Set(
    (await readPins(store, vm)).flatMap(({ user }) => ('backupId' in user ? user.backupId : [])),
  );
  for (const id of candidates) {
    if (inUse.has(id) || retired.has(id) || pinned.has(id)) continue;
    // Finished, or given up, since the listing.
    if ((await store.get(manifestKey(vm, id))) !== undefined) continue;
    findings.add(manifestKey(vm, id), 'it is missing', [id]);
  }
}

function unneededObjects(sizes: ObjectNumbers, needed: ObjectNumbers): Checked['unneeded'] {
  const unneeded = { objects: 0, bytes: 0 };
  for (const [key, size] of sizes) {
    if (needed.get(key) > 0) continue;
    unneeded.objects++;
    unneeded.bytes += size - 1;
  }
  return unneeded;
}
