import { type EBSClient, GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import { open } from 'node:fs/promises';
import { persistently } from './persistently';

const BLOCK_BYTES = 512 * 1024;

/** Numbers of blocks in which a snapshot differs from a file; behind the file's end there must be zeros. */
export async function differingBlocks(ebs: EBSClient, snapshotId: string, path: string): Promise<number[]> {
  const listed = await persistently(() => listBlocks(ebs, snapshotId));
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const last = Math.max(Math.ceil(size / BLOCK_BYTES) - 1, ...listed.keys());
    const different: number[] = [];
    for (let index = 0; index <= last; index++) {
      const expected = Buffer.alloc(BLOCK_BYTES);
      await file.read(expected, 0, BLOCK_BYTES, index * BLOCK_BYTES);
      const token = listed.get(index);
      const actual =
        token === undefined ? Buffer.alloc(BLOCK_BYTES) : await block(ebs, snapshotId, index, token);
      if (!actual.equals(expected)) different.push(index);
    }
    return different;
  } finally {
    await file.close();
  }
}

/** Writes a snapshot's bytes into a new file; what is behind its end is left out. */
export async function download(
  ebs: EBSClient,
  snapshotId: string,
  path: string,
  sizeBytes: number,
): Promise<void> {
  const listed = await persistently(() => listBlocks(ebs, snapshotId));
  const file = await open(path, 'w');
  try {
    await file.truncate(sizeBytes);
    for (const [index, token] of listed) {
      const bytes = await block(ebs, snapshotId, index, token);
      const room = Math.min(bytes.length, sizeBytes - index * BLOCK_BYTES);
      if (room > 0) await file.write(bytes, 0, room, index * BLOCK_BYTES);
    }
  } finally {
    await file.close();
  }
}

async function listBlocks(ebs: EBSClient, SnapshotId: string): Promise<Map<number, string>> {
  const tokens = new Map<number, string>();
  let NextToken: string | undefined;
  do {
    const page = await ebs.send(new ListSnapshotBlocksCommand({ SnapshotId, NextToken }));
    for (const { BlockIndex = -1, BlockToken = '' } of page.Blocks ?? []) tokens.set(BlockIndex, BlockToken);
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return tokens;
}

function block(ebs: EBSClient, SnapshotId: string, BlockIndex: number, BlockToken: string): Promise<Buffer> {
  return persistently(async () => {
    const { BlockData } = await ebs.send(new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }));
    return Buffer.from((await BlockData?.transformToByteArray()) ?? []);
  });
}
