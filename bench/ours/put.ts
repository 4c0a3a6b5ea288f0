import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { createHash, hash } from 'node:crypto';
import { awsClients } from '../../activities/aws-proxy/clients';
import { ebsSnapshotSink } from '../../blocks/ebs-sink';
import { openFileSource } from '../../blocks/file-source';
import { forEachBounded } from '../../blocks/pipeline';
import { BLOCK_SIZE } from '../../blocks/port';

/** Calls under way, as in a restore. */
const CONCURRENCY = 32;

export interface PutJob {
  region: string;
  path: string;
  sizeBytes: number;
}

/**
 * A file into a new snapshot, of the pieces that a restore is made of: the one copy that no activity makes, since a
 * disk comes to AWS by way of the repository.
 */
export async function put({ region, path, sizeBytes }: PutJob): Promise<{ snapshotId: string }> {
  const { ebs } = awsClients({ region });
  const { signal } = new AbortController();
  const volume = { VolumeSize: Math.ceil(sizeBytes / 2 ** 30), Timeout: 60 };
  const { SnapshotId: snapshotId = '' } = await ebs.send(new StartSnapshotCommand(volume));
  const sink = ebsSnapshotSink(ebs, snapshotId, signal);
  const source = await openFileSource(path, sizeBytes);
  const blocks = Math.ceil(sizeBytes / BLOCK_SIZE);
  const digests = new Map<number, Buffer>();
  await forEachBounded(indexes(blocks), CONCURRENCY, signal, async (index) => {
    const block = Buffer.allocUnsafe(BLOCK_SIZE);
    if (!(await source.read(index, block))) return;
    const sha256 = hash('sha256', block, 'buffer');
    await sink.write(index, block, sha256);
    digests.set(index, sha256);
  });
  await sink.close();
  await source.close();
  const aggregate = createHash('sha256');
  for (const index of indexes(blocks)) {
    const digest = digests.get(index);
    if (digest !== undefined) aggregate.update(digest);
  }
  await ebs.send(
    new CompleteSnapshotCommand({
      SnapshotId: snapshotId,
      ChangedBlocksCount: digests.size,
      Checksum: aggregate.digest('base64'),
      ChecksumAlgorithm: 'SHA256',
      ChecksumAggregationMethod: 'LINEAR',
    }),
  );
  ebs.destroy();
  return { snapshotId };
}

function* indexes(blocks: number): Generator<number> {
  for (let index = 0; index < blocks; index++) yield index;
}
