import { type BlockRange } from '../../blocks/port';
import { blockCount, pageBlocks, pagesOf } from '../maps/block-map-format';
import { blockRanges, rangesWithin } from './disk-areas';
import { MapProgress, pageIn } from './map-progress';
import { type DiskBackup, PackLine } from './pack-line';

export type { DiskBackup } from './pack-line';

/**
 * Stores the blocks of a disk that the previous backup does not have, and makes the disk's block map. Goes on from
 * where the journal says that it was. Memory does not grow with the disk: a page of the map or two are in the making,
 * and the bytes under way are in buffers that all backups of the process share.
 * @returns the bytes of the map's directory
 */
export async function storeChangedBlocks(backup: DiskBackup): Promise<Buffer> {
  const { previous, known } = backup;
  const progress = await MapProgress.resume(backup, previous, backup.journal);
  const rest = known?.outside ?? 'as before';
  await PackLine.run(backup, progress, async (fillNext) => {
    for (const { page, from, to, ranges } of pagesToRead(backup, progress.position)) {
      const before = await pageIn(previous, page);
      for (let block = from; block < to;) {
        const left = [...rangesWithin(ranges, { from: block, to })];
        block = await fillNext(page, { from: block, end: to, ranges: left, outside: rest, previous: before });
      }
    }
  });
  return progress.finish(rest);
}

/** The pages in which something has to be read, from a position on, and what. */
function* pagesToRead(
  { sizeBytes, known }: DiskBackup,
  position: { page: number; block?: number },
): Generator<BlockRange & { page: number; ranges: BlockRange[] }> {
  const blocks = blockCount(sizeBytes);
  const ranges = known === undefined ? [{ from: 0, to: blocks }] : blockRanges(known.areas, sizeBytes);
  for (let { page, block } = position; page < pagesOf(blocks); page++, block = undefined) {
    const { from, to } = pageBlocks(page, blocks);
    const here = [...rangesWithin(ranges, { from: block ?? from, to })];
    // A page that was begun has to be finished, also where nothing more of it is to be read.
    if (here.length > 0 || block !== undefined) yield { page, from: block ?? from, to, ranges: here };
  }
}
