import { type EC2Client, type Volume } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { findVolume } from './lookup';

/** Looks without a volume that was seen before after which it is gone: lists of EC2 may lack what is new for a moment. */
const SEEN_LOOKS = 5;
/**
 * The same for a volume that never was seen: a minute at the usual pace. EC2 shows what is new within seconds, mostly
 * (Amazon EC2 Developer Guide, "Eventual consistency"); one that shows later than that is removed with its run.
 */
const NEVER_SEEN_LOOKS = 36;

/**
 * Looks at a volume again and again, while something is waited for.
 * @returns one look: the volume, or undefined while it may be too new to be seen
 * @throws ApplicationFailure VolumeFailed, non-retryable, in a look that shows it failed, or going, or after which it is
 * gone: whoever waits for it waits in vain
 */
export function volumeLooks(ec2: EC2Client, volumeId: string): () => Promise<Volume | undefined> {
  let limit = NEVER_SEEN_LOOKS;
  let missing = 0;
  return async () => {
    const volume = await findVolume(ec2, volumeId);
    if (volume !== undefined) limit = SEEN_LOOKS;
    missing = volume === undefined ? missing + 1 : 0;
    if (missing >= limit)
      throw ApplicationFailure.nonRetryable(
        `The volume ${volumeId} is gone: something else has deleted it.`,
        'VolumeFailed',
      );
    const state = volume?.State;
    if (state === 'error' || state === 'deleting' || state === 'deleted')
      throw ApplicationFailure.nonRetryable(
        `The volume ${volumeId} went to the state ${state}; is its snapshot's KMS key there, and usable?`,
        'VolumeFailed',
      );
    return volume;
  };
}
