import { type Backoff, withBackoff } from '../blocks/backoff';
import { type BlockSource } from '../blocks/port';
import { isTransientAwsError } from '../blocks/transient';
import { type BackupJournal, type Segment } from './backup-journal';
import { scanDisk } from './backup-scan';
import { type BlockMap } from './block-map';
import { BlockMapWriter } from './block-map-writer';
import { blockCount, type MapEntry, pageBlocks, pagesOf } from './block-map-format';
import { packKey } from './keys';
import { MapPageBuilder } from './map-page-builder';
import { storeNumbered } from './numbered-object';
import { type ObjectStore } from './object-store';
import { OpenPack } from './pack';

/** Some 10 s in all: longer troubles are for the activity's retry. */
const BACKOFF: Backoff = { attempts: 8, baseMs: 100, capMs: 5000 };
/** Where nothing changes for so many blocks (2 GiB), that is recorded, so that a resumed backup does not read it again. */
const QUIET_BLOCKS = 4096;

export interface DiskBackup {
  store: ObjectStore;
  vm: string;
  backupId: string;
  diskKey: string;
  sizeBytes: number;
  source: BlockSource;
  /** The disk's map in the backup that this one builds on. */
  previous?: BlockMap;
  journal: BackupJournal;
  signal: AbortSignal;
  /** Called with the blocks looked at so far, and the bytes stored. */
  onProgress(doneBlocks: number, storedBytes: number): void;
}

/**
 * Stores the blocks of a disk that the previous backup does not have, and makes the disk's block map. Goes on from
 * where the journal says that it was.
 */
export async function storeChangedBlocks(backup: DiskBackup): Promise<Buffer> {
  const { journal, previous, sizeBytes, signal } = backup;
  const blocks = blockCount(sizeBytes);
  let storedBytes = journal.segments.reduce((sum, { stored }) => sum + bytesOf(stored), 0);
  let from = journal.segments.at(-1)?.to ?? 0;
  let nextPack = (journal.segments.findLast(({ pack }) => pack !== undefined)?.pack?.n ?? -1) + 1;
  let pack = new OpenPack();
  let zeroed: number[] = [];
  /** The one pack that is on its way while the next is being filled. */
  let underWay: Promise<void> = Promise.resolve();

  const upload = async (filled: OpenPack, stretch: Omit<Segment, 'pack' | 'stored'>): Promise<void> => {
    const segment: Segment = { ...stretch, stored: [] };
    if (!filled.isEmpty) {
      await journal.sending(filled.length);
      const bytes = filled.toBuffer();
      const keyOf = (n: number) => packKey(backup.vm, backup.backupId, backup.diskKey, n);
      segment.pack = await withBackoff(BACKOFF, signal, isTransientAwsError, () =>
        storeNumbered(backup.store, keyOf, nextPack, bytes),
      );
      nextPack = segment.pack.n + 1;
      segment.stored = filled.entries();
      storedBytes += bytesOf(segment.stored);
    }
    await journal.add(segment);
  };
  const closeSegment = async (to: number): Promise<void> => {
    await underWay;
    underWay = upload(pack, { from, to, zeroed });
    // Thrown where it is awaited next; until then it must not count as unhandled.
    underWay.catch(() => undefined);
    [from, pack, zeroed] = [to, new OpenPack(), []];
  };

  try {
    for await (const extent of scanDisk(backup.source, from, blocks, previous, signal)) {
      signal.throwIfAborted();
      zeroed.push(...extent.zeroed);
      for (const { index, sha256, stored } of extent.changed) pack.add(index, sha256, stored);
      if (pack.isFull || (pack.isEmpty && extent.to - from >= QUIET_BLOCKS)) await closeSegment(extent.to);
      backup.onProgress(extent.to, storedBytes + pack.bytes);
    }
    if (from < blocks) await closeSegment(blocks);
  } finally {
    // A failure of the upload that is under way is thrown below, unless another failure came first.
    await underWay.catch(() => undefined);
  }
  await underWay;
  return writeMap(backup);
}

function bytesOf(stored: Segment['stored']): number {
  return stored.reduce((sum, { length }) => sum + length, 0);
}

/** Writes the map: what was stored, what the previous backup has and still holds, and its pages as far as they are. */
async function writeMap(backup: DiskBackup): Promise<Buffer> {
  const { journal, previous, sizeBytes } = backup;
  const blocks = blockCount(sizeBytes);
  const writer = new BlockMapWriter(backup);
  const stored: MapEntry[] = journal.segments.flatMap((segment) =>
    segment.stored.map((block) => ({ ...block, pack: segment.pack?.key ?? '' })),
  );
  const zeroed = new Set(journal.segments.flatMap((segment) => segment.zeroed));
  let next = 0;
  for (let n = 0; n < pagesOf(blocks); n++) {
    const { from, to } = pageBlocks(n, blocks);
    const first = next;
    while (next < stored.length && stored[next]!.index < to) next++;
    const changed = new Map(stored.slice(first, next).map((entry) => [entry.index, entry]));
    const ref = previous?.pageRef(n);
    const touched = changed.size > 0 || [...zeroed].some((index) => index >= from && index < to);
    if (!touched) {
      if (ref !== undefined) await writer.keep(n, ref);
      continue;
    }
    const page = ref && (await previous?.page(n));
    const builder = new MapPageBuilder(n, blocks);
    for (let index = from; index < to; index++) {
      const entry = changed.get(index) ?? (zeroed.has(index) ? undefined : page?.find(index));
      if (entry !== undefined) builder.add(entry);
    }
    await writer.add(builder);
  }
  return writer.finish({
    storedBlocks: stored.length,
    storedBytes: stored.reduce((sum, { length }) => sum + length, 0),
  });
}
