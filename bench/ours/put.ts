import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { copyBlocks } from '../../blocks/copy';
import { EbsBlockClient } from '../../blocks/ebs/client';
import { ebsSnapshotSink } from '../../blocks/ebs-sink';
import { emptyTarget } from '../../blocks/empty-target';
import { fileBlocks } from '../../blocks/file-blocks';
import { CopyJournal } from '../../blocks/journal';
import { BLOCK_SIZE, type BlockSink } from '../../blocks/port';

const DIGEST_BYTES = 32;

export interface PutJob {
  region: string;
  path: string;
  sizeBytes: number;
}

/**
 * A file into a new snapshot, of the pieces that a restore is made of, its durable progress among them: the one copy that
 * no activity makes, since a disk comes to AWS by way of the repository.
 */
export async function put({ region, path, sizeBytes }: PutJob): Promise<{ snapshotId: string }> {
  const { ebs } = awsClients({ region });
  const { signal } = new AbortController();
  const volume = { VolumeSize: Math.ceil(sizeBytes / 2 ** 30), Timeout: 60 };
  const { SnapshotId: snapshotId = '' } = await ebs.send(new StartSnapshotCommand(volume));
  const client = new EbsBlockClient(ebs);
  const range = { from: 0, to: Math.ceil(sizeBytes / BLOCK_SIZE) };
  const written = new WrittenDigests(ebsSnapshotSink(client, snapshotId, signal), range.to);
  const file = await open(path, 'r');
  const journal = await CopyJournal.open('put-journal', [snapshotId], range);
  await copyBlocks({
    blocks: fileBlocks(file, sizeBytes, range),
    sink: emptyTarget(written.sink),
    journal,
    durable: 'at once',
    concurrency: client.roomForPuts,
    signal,
    onDone: () => undefined,
  });
  journal.close();
  await file.close();
  await ebs.send(
    new CompleteSnapshotCommand({
      SnapshotId: snapshotId,
      ChangedBlocksCount: written.blocks,
      Checksum: written.linearChecksum(),
      ChecksumAlgorithm: 'SHA256',
      ChecksumAggregationMethod: 'LINEAR',
    }),
  );
  ebs.destroy();
  return { snapshotId };
}

/** Remembers the digests of the blocks that go to a sink. */
class WrittenDigests {
  blocks = 0;
  readonly sink: BlockSink;
  private readonly digests: Buffer;
  private readonly have: Uint8Array;

  constructor(sink: BlockSink, blocks: number) {
    this.digests = Buffer.alloc(blocks * DIGEST_BYTES);
    this.have = new Uint8Array(blocks);
    this.sink = {
      ...sink,
      write: (index, block, sha256) => {
        sha256.copy(this.digests, index * DIGEST_BYTES);
        this.have[index] = 1;
        this.blocks++;
        return sink.write(index, block, sha256);
      },
    };
  }

  linearChecksum(): string {
    const sum = createHash('sha256');
    this.have.forEach((has, index) => {
      if (has === 1) sum.update(this.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    });
    return sum.digest('base64');
  }
}
