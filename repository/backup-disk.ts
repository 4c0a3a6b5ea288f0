import { type Backoff, withBackoff } from '../blocks/backoff';
import { type BlockSource } from '../blocks/port';
import { isTransientAwsError } from '../blocks/transient';
import { type BackupJournal, type Segment } from './backup-journal';
import { scanDisk } from './backup-scan';
import { type BlockMap } from './block-map';
import { BlockMapBuilder } from './block-map-builder';
import { blockCount, type MapEntry } from './block-map-format';
import { packKey } from './keys';
import { type ObjectStore } from './object-store';
import { OpenPack, storePack } from './pack';

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
  const builder = new BlockMapBuilder(sizeBytes);
  for (const segment of journal.segments) addSegment(builder, previous, segment);
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
        storePack(backup.store, keyOf, nextPack, bytes),
      );
      nextPack = segment.pack.n + 1;
      segment.stored = filled.entries();
      storedBytes += bytesOf(segment.stored);
    }
    await journal.add(segment);
    addSegment(builder, previous, segment);
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
  return builder.finish();
}

function bytesOf(stored: Segment['stored']): number {
  return stored.reduce((sum, { length }) => sum + length, 0);
}

/** Adds a segment's entries in disk order: what it stored, and what the previous backup has and still holds. */
function addSegment(builder: BlockMapBuilder, previous: BlockMap | undefined, segment: Segment): void {
  const replaced = new Set([...segment.zeroed, ...segment.stored.map(({ index }) => index)]);
  const stored: MapEntry[] = segment.stored.map((block) => ({ ...block, pack: segment.pack?.key ?? '' }));
  let next = 0;
  for (
    let position = previous?.firstFrom(segment.from) ?? 0;
    position < (previous?.length ?? 0);
    position++
  ) {
    const kept = previous!.at(position);
    if (kept.index >= segment.to) break;
    if (replaced.has(kept.index)) continue;
    while (next < stored.length && stored[next]!.index < kept.index) builder.add(stored[next++]!);
    builder.add(kept);
  }
  while (next < stored.length) builder.add(stored[next++]!);
}
