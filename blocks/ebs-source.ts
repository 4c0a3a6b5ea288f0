import { ListChangedBlocksCommand, ListSnapshotBlocksCommand, type EBSClient } from '@aws-sdk/client-ebs';
import { type Backoff, withBackoff } from './backoff';
import { DamagedTransferError, type EbsBlockClient } from './ebs/client';
import { BLOCK_SIZE } from './port';
import { sha256Of } from './threads/pool';
import { isTransientAwsError } from './transient';
import { ZERO_BLOCK, ZERO_SHA256 } from './zero';

/** Some 20 s in all: throttling passes by then; longer troubles are for the activity's retry. */
const BACKOFF: Backoff = { attempts: 12, baseMs: 100, capMs: 5000 };
/** The most that a page may have. */
const PAGE_BLOCKS = 10_000;

/** A block that a snapshot lists. */
export interface ListedBlock {
  index: number;
  /** What GetSnapshotBlock asks for; absent where the block vanished since the previous snapshot: it is zeros now. */
  token?: string;
}

/**
 * The blocks of a completed snapshot, or those that changed since a previous one of the same volume; ascending. A page
 * at a time, so that tokens are young when they are used and memory stays small.
 * @throws Error where the answer cannot be true
 */
export async function* listBlocks(
  ebs: EBSClient,
  snapshot: { snapshotId: string; previousSnapshotId?: string },
  signal: AbortSignal,
): AsyncGenerator<ListedBlock> {
  let last = -1;
  let next: string | undefined;
  do {
    const page = await withBackoff(BACKOFF, signal, isTransientAwsError, () =>
      listPage(ebs, snapshot, next, signal),
    );
    for (const { index, token } of page.blocks) {
      if (index === undefined || !Number.isSafeInteger(index) || index <= last)
        throw new Error(`EBS listed block ${index} after block ${last} of ${snapshot.snapshotId}.`);
      last = index;
      yield { index, token };
    }
    next = page.next;
  } while (next !== undefined);
}

async function listPage(
  ebs: EBSClient,
  { snapshotId, previousSnapshotId }: { snapshotId: string; previousSnapshotId?: string },
  NextToken: string | undefined,
  abortSignal: AbortSignal,
): Promise<{ blocks: { index?: number; token?: string }[]; next?: string }> {
  const page = { NextToken, MaxResults: PAGE_BLOCKS };
  if (previousSnapshotId === undefined) {
    const list = new ListSnapshotBlocksCommand({ SnapshotId: snapshotId, ...page });
    const answer = await ebs.send(list, { abortSignal });
    checkBlockSize(snapshotId, answer.BlockSize);
    const blocks = (answer.Blocks ?? []).map((block) => ({
      index: block.BlockIndex,
      token: block.BlockToken,
    }));
    return { blocks, next: answer.NextToken || undefined };
  }
  const list = new ListChangedBlocksCommand({
    FirstSnapshotId: previousSnapshotId,
    SecondSnapshotId: snapshotId,
    ...page,
  });
  const answer = await ebs.send(list, { abortSignal });
  checkBlockSize(snapshotId, answer.BlockSize);
  const blocks = (answer.ChangedBlocks ?? []).map((block) => ({
    index: block.BlockIndex,
    token: block.SecondBlockToken,
  }));
  return { blocks, next: answer.NextToken || undefined };
}

function checkBlockSize(snapshotId: string, size: number | undefined): void {
  if (size !== undefined && size !== BLOCK_SIZE)
    throw new Error(`The blocks of ${snapshotId} have ${size} bytes; ${BLOCK_SIZE} were expected.`);
}

/**
 * Reads a listed block, verified against the checksum that EBS gives with it.
 * @param into where the bytes go (BLOCK_SIZE bytes); what is returned may be a shared block of zeros instead
 */
export async function getBlock(
  ebs: EbsBlockClient,
  snapshotId: string,
  { index, token }: ListedBlock,
  into: Buffer,
  signal: AbortSignal,
): Promise<{ block: Buffer; sha256: Buffer }> {
  if (token === undefined) return { block: ZERO_BLOCK, sha256: ZERO_SHA256 };
  const verify = async (checksum: string): Promise<{ block: Buffer; sha256: Buffer }> => {
    const sha256 = await sha256Of(into);
    if (checksum !== sha256.toString('base64')) throw new DamagedTransferError(snapshotId, index);
    return { block: into, sha256 };
  };
  return ebs.get({ snapshotId, index, token }, into, verify, signal);
}
