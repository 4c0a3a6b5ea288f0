import { ResourceNotFoundException, ValidationException } from '@aws-sdk/client-ebs';
import { type EbsBlockClient } from './ebs/client';
import { type BlockSink } from './port';

/**
 * Milliseconds for which a snapshot that is said not to exist is believed to be too new to be known everywhere. Seen
 * to take seconds, at worst tens of them.
 */
const APPEARS_WITHIN_MS = 60_000;

/**
 * Refusals of a moment: a put whose answer was lost may still be at work on the block, and on a slow line its bytes may come
 * later than EBS waits for them.
 */
const MOMENTARY: ReadonlySet<string> = new Set(['CONFLICTING_BLOCK_UPDATE', 'WRITE_REQUEST_TIMEOUT']);

/** The one refusal without a reason that may be repeated (Amazon EBS User Guide, "Error retries"). */
const isUnread = (error: ValidationException): boolean => /Failed to read block data/i.test(error.message);

/**
 * A pending snapshot as a sink: PutSnapshotBlock with the digest that the caller has already, so that a block is
 * hashed once. A block that was put twice with the same bytes is the same block.
 */
export function ebsSnapshotSink(ebs: EbsBlockClient, snapshotId: string, signal: AbortSignal): BlockSink {
  const openedAt = Date.now();
  const mayHeal = (error: unknown): boolean => {
    if (error instanceof ResourceNotFoundException) return Date.now() - openedAt < APPEARS_WITHIN_MS;
    return error instanceof ValidationException && (MOMENTARY.has(error.Reason ?? '') || isUnread(error));
  };
  return {
    write: (index, bytes, sha256) => ebs.put({ snapshotId, index, bytes, sha256 }, signal, mayHeal),
    // A put that was answered is stored.
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
