import { CompleteSnapshotCommand, ValidationException, type EBSClient } from '@aws-sdk/client-ebs';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type Backoff, withBackoff } from '../../../blocks/backoff';
import { isTransientAwsError } from '../../../blocks/transient';
import { launchOnce } from '../../heartbeat';
import { isThrottling } from '../account/client';
import { findSnapshot } from '../account/lookup';
import { waitFor } from '../account/waiting';

/** Some 20 s in all: what was written is checked anew where the activity is tried again. Throttling is the budget's (account/clients.ts). */
const BACKOFF: Backoff = { attempts: 12, baseMs: 100, capMs: 5000 };
/** Longest that EBS may take to complete a snapshot whose blocks are all there. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;
/** Seconds in which a snapshot that refuses to be completed turns out to be completed by an earlier try, if it is. */
const COMPLETED_BEFORE_SECONDS = 60;

export interface CompletionClients {
  ec2: EC2Client;
  ebs: EBSClient;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

/** All that was written into a snapshot: how many blocks, and their linear checksum (base64). */
export interface WrittenBlocks {
  blocks: number;
  checksum: string;
}

/**
 * Completes a pending snapshot: EBS refuses where anything else, or less, was written than is told here. In an activity.
 * @throws ApplicationFailure SnapshotFailed, non-retryable: a new snapshot is needed
 */
export async function completeSnapshot(
  clients: CompletionClients,
  snapshotId: string,
  written: () => Promise<WrittenBlocks>,
): Promise<void> {
  const { ec2, pollSeconds } = clients;
  // An earlier try's completion may have got lost on the way to the Temporal server.
  if ((await snapshotState(ec2, snapshotId)) === 'completed') return;
  let refusal: ValidationException | undefined;
  try {
    // A try after one that saw it accepted has only to wait: asked a second time, EBS refuses.
    await launchOnce(`CompleteSnapshot ${snapshotId}`, async () =>
      requestCompletion(clients.ebs, snapshotId, await written()),
    );
  } catch (error) {
    if (!(error instanceof ValidationException)) throw error;
    // Either what is there is not what was meant, or an earlier try of ours completed it.
    refusal = error;
  }
  const limitSeconds = refusal === undefined ? COMPLETION_LIMIT_SECONDS : COMPLETED_BEFORE_SECONDS;
  try {
    await waitFor(
      `${snapshotId} to be completed`,
      async () => ((await snapshotState(ec2, snapshotId)) === 'completed' ? true : undefined),
      { limitSeconds, pollSeconds },
    );
  } catch (error) {
    if (refusal !== undefined && error instanceof ApplicationFailure && error.type === 'StillWaiting')
      throw snapshotFailed(snapshotId, refusal.message);
    throw error;
  }
}

/** @returns the snapshot's state, as EBS answers with it */
async function requestCompletion(
  ebs: EBSClient,
  snapshotId: string,
  { blocks, checksum: Checksum }: WrittenBlocks,
): Promise<string> {
  const command = new CompleteSnapshotCommand({
    SnapshotId: snapshotId,
    ChangedBlocksCount: blocks,
    // Nothing written has no checksum.
    ...(blocks === 0 ? {} : { Checksum, ChecksumAlgorithm: 'SHA256', ChecksumAggregationMethod: 'LINEAR' }),
  });
  const { Status } = await withBackoff(
    BACKOFF,
    Context.current().cancellationSignal,
    (error) => isTransientAwsError(error) && !isThrottling(error),
    () => ebs.send(command),
  );
  return Status ?? 'accepted';
}

/**
 * @returns undefined where EC2 does not know the snapshot, which it may not yet
 * @throws ApplicationFailure SnapshotFailed, non-retryable, where EBS gave the snapshot up: a new attempt is needed
 */
export async function snapshotState(ec2: EC2Client, snapshotId: string): Promise<string | undefined> {
  const snapshot = await findSnapshot(ec2, snapshotId);
  if (snapshot?.State === 'error')
    throw snapshotFailed(snapshotId, snapshot.StateMessage ?? 'AWS does not say why');
  return snapshot?.State;
}

export function snapshotFailed(snapshotId: string, reason: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The snapshot ${snapshotId} cannot be completed any more: ${reason.replace(/\.$/, '')}.`,
    'SnapshotFailed',
  );
}
