import {
  PutSnapshotBlockCommand,
  ResourceNotFoundException,
  ValidationException,
  type EBSClient,
} from '@aws-sdk/client-ebs';
import { type Backoff, withBackoff } from './backoff';
import { BLOCK_SIZE, type BlockSink } from './port';
import { isTransientAwsError } from './transient';

/** Some 20 s in all: throttling passes by then; longer troubles are for the activity's retry. */
const BACKOFF: Backoff = { attempts: 12, baseMs: 100, capMs: 5000 };

/**
 * Milliseconds for which a snapshot that is said not to exist is believed to be too new to be known everywhere. Seen
 * to take seconds, at worst tens of them.
 */
const APPEARS_WITHIN_MS = 60_000;

/**
 * A pending snapshot as a sink: PutSnapshotBlock with the digest that the caller has already, so that a block is
 * hashed once. A block that was put twice with the same bytes is the same block.
 */
export function ebsSnapshotSink(ebs: EBSClient, snapshotId: string, signal: AbortSignal): BlockSink {
  const openedAt = Date.now();
  const isTransient = (error: unknown): boolean => {
    if (error instanceof ResourceNotFoundException) return Date.now() - openedAt < APPEARS_WITHIN_MS;
    // A put whose answer was lost may still be at work on the block.
    if (error instanceof ValidationException) return error.Reason === 'CONFLICTING_BLOCK_UPDATE';
    return isTransientAwsError(error);
  };
  return {
    async write(index, block, sha256) {
      const Checksum = sha256.toString('base64');
      const put = new PutSnapshotBlockCommand({
        SnapshotId: snapshotId,
        BlockIndex: index,
        BlockData: block,
        DataLength: BLOCK_SIZE,
        Checksum,
        ChecksumAlgorithm: 'SHA256',
      });
      const answer = await withBackoff(BACKOFF, signal, isTransient, () =>
        ebs.send(put, { abortSignal: signal }),
      );
      if (answer.Checksum !== Checksum)
        throw new Error(
          `EBS stored block ${index} of ${snapshotId} with another checksum than it was sent with.`,
        );
    },
    // A put that was answered is stored.
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
