import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { type EbsBlockClient } from '../../../blocks/ebs/client';
import { ebsSnapshotSink } from '../../../blocks/ebs-sink';
import { forEachBounded } from '../../../blocks/pipeline';
import { BLOCK_SIZE } from '../../../blocks/port';
import { type WrittenBlocks } from './snapshot-completion';

/** PutSnapshotBlock calls under way: a launch copy has some tens of blocks, and their memory is not that of restores. */
const CONCURRENCY = 16;

/**
 * Puts some blocks of a disk into a pending snapshot.
 * @param indices of 512 KiB blocks, ascending, each once; zeros lie beyond the disk's end
 */
export async function copyChangedBlocks(
  blocks: EbsBlockClient,
  { path, indices, snapshotId }: { path: string; indices: number[]; snapshotId: string },
  signal: AbortSignal,
): Promise<WrittenBlocks> {
  const sink = ebsSnapshotSink(blocks, snapshotId, signal);
  const sum = createHash('sha256');
  const disk = await open(path, 'r');
  try {
    const read = readInOrder(disk, indices, (sha256) => sum.update(sha256));
    await forEachBounded(read, CONCURRENCY, signal, ({ index, bytes, sha256 }) =>
      sink.write(index, bytes, sha256),
    );
  } finally {
    await disk.close();
  }
  return { blocks: indices.length, checksum: sum.digest('base64') };
}

interface ReadBlock {
  index: number;
  bytes: Buffer;
  sha256: Buffer;
}

/**
 * One read at a time: what is below the disk may be served by this process, and reads that all wait for it would leave
 * it none of the threads that serve them.
 */
async function* readInOrder(
  disk: FileHandle,
  indices: number[],
  onRead: (sha256: Buffer) => void,
): AsyncGenerator<ReadBlock> {
  for (const index of indices) {
    const bytes = Buffer.alloc(BLOCK_SIZE);
    for (let filled = 0; filled < BLOCK_SIZE;) {
      const { bytesRead } = await disk.read(bytes, filled, BLOCK_SIZE - filled, index * BLOCK_SIZE + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    const sha256 = createHash('sha256').update(bytes).digest();
    onRead(sha256);
    yield { index, bytes, sha256 };
  }
}
