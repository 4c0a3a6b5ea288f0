import { type EBSClient } from '@aws-sdk/client-ebs';
import { ApplicationFailure } from '@temporalio/common';
import { type EbsBlockClient } from '../../../blocks/ebs/client';
import { getBlock, listBlocks, type ListedBlock } from '../../../blocks/ebs-source';
import { blockMemory } from '../../../blocks/memory';
import { forEachBounded } from '../../../blocks/pipeline';
import { BLOCK_SIZE } from '../../../blocks/port';
import { isZero } from '../../../blocks/zero';
import { type BlockMap } from '../../../repository/maps/block-map';
import { changedBlocks } from '../../../repository/maps/changed-blocks';

/** One disk of a DR copy, and what it should hold. */
export interface DiskVerification {
  ebs: EBSClient;
  blocks: EbsBlockClient;
  vm: string;
  diskKey: string;
  snapshotId: string;
  recoveryPoint: string;
  map: BlockMap;
  /** Blocks below this one were found good by an earlier try. */
  from: number;
  signal: AbortSignal;
  /** Called in order: all blocks up to `index`, included, are good. */
  onGood(index: number): void;
}

/** GetSnapshotBlock calls under way: few, as a check on demand leaves the account's quota to failbacks. */
const CONCURRENCY = 16;

/** A block that the map or the snapshot has. */
interface ComparedBlock {
  index: number;
  /** Absent where it should be zeros. */
  sha256?: Buffer;
  /** Absent where the snapshot does not list it, and so holds zeros. */
  listed?: ListedBlock;
  good: boolean;
}

/**
 * Reads every block that the snapshot lists and compares it with the block map; memory is that of the blocks under way
 * and of a few pages of the map.
 * @throws ApplicationFailure DrCopyDamaged, non-retryable, at the first block that is not as the map says
 */
export async function verifyDisk(verification: DiskVerification): Promise<void> {
  const { ebs, snapshotId, map, from, signal } = verification;
  const inOrder: ComparedBlock[] = [];
  const wanted = changedBlocks(map, undefined, { from, to: map.blocks });
  const listed = listBlocks(ebs, { snapshotId }, signal);
  await forEachBounded(bothSides(wanted, listed, from), CONCURRENCY, signal, async (block) => {
    inOrder.push(block);
    await compare(verification, block);
    block.good = true;
    while (inOrder[0]?.good === true) verification.onGood(inOrder.shift()!.index);
  });
}

async function compare(verification: DiskVerification, block: ComparedBlock): Promise<void> {
  const { blocks, snapshotId, map, signal } = verification;
  const { index, listed, sha256: wanted } = block;
  if (listed === undefined) throw damaged(verification, index, 'is missing, and should hold data');
  const memory = await blockMemory.take();
  try {
    const got = await readBlock(verification, listed, () =>
      getBlock(blocks, snapshotId, listed, memory.bytes, signal),
    );
    if (wanted !== undefined) {
      if (!got.sha256.equals(wanted)) throw damaged(verification, index, 'holds other data');
    } else if (!isZero(got.block)) {
      const where = index < map.blocks ? 'where there should be zeros' : 'beyond the end of the disk';
      throw damaged(verification, index, `holds data ${where}`);
    }
  } finally {
    memory.release();
  }
}

/** Reads a block; bytes that EBS itself has no right checksum for, again and again, are damage, too. */
async function readBlock<T>(
  verification: DiskVerification,
  { index }: ListedBlock,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Error && error.name === 'DamagedTransferError')
      throw damaged(verification, index, 'comes with bytes that do not match the checksum that EBS gives');
    throw error;
  }
}

/** The blocks of map and snapshot from `from` on, ascending, each once. */
async function* bothSides(
  pages: AsyncGenerator<{ index: number; entry?: { sha256: Buffer } }[]>,
  listedBlocks: AsyncGenerator<ListedBlock>,
  from: number,
): AsyncGenerator<ComparedBlock> {
  const next = async (): Promise<ListedBlock | undefined> => {
    for (;;) {
      const { value, done } = await listedBlocks.next();
      if (done === true) return undefined;
      if (value.index >= from) return value;
    }
  };
  try {
    let listed = await next();
    for await (const page of pages)
      for (const { index, entry } of page) {
        for (; listed !== undefined && listed.index < index; listed = await next())
          yield { index: listed.index, listed, good: false };
        const same = listed?.index === index ? listed : undefined;
        if (same !== undefined) listed = await next();
        yield { index, sha256: entry!.sha256, listed: same, good: false };
      }
    for (; listed !== undefined; listed = await next()) yield { index: listed.index, listed, good: false };
  } finally {
    await listedBlocks.return(undefined);
  }
}

function damaged(
  { vm, diskKey, snapshotId, recoveryPoint }: DiskVerification,
  block: number,
  how: string,
): ApplicationFailure {
  return ApplicationFailure.create({
    message:
      `The DR copy of ${vm} is damaged: block ${block} of the disk "${diskKey}" (byte ${block * BLOCK_SIZE} of ` +
      `${snapshotId}) ${how}, compared with the backup ${recoveryPoint}. The next restore would build on it: delete this ` +
      `snapshot, and restore ${vm}, which is a full copy then.`,
    type: 'DrCopyDamaged',
    nonRetryable: true,
    details: [{ vm, disk: diskKey, block, snapshotId }],
  });
}
