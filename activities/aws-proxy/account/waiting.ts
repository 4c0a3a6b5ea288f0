import { setTimeout as pause } from 'node:timers/promises';
import { sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { throttledSeconds } from '../../failures';

export interface WaitOptions {
  /** Seconds between two looks, instead of the usual pace. */
  pollSeconds?: number;
  /** Seconds until waiting makes no more sense. */
  limitSeconds?: number;
  /** Goes on although the activity was cancelled: for putting things back in order. */
  uncancelled?: boolean;
}

/**
 * Looks once a second while most things happen, then every five: a hundred VMs that wait at once then ask 20 times a
 * second, which is what refills EC2's bucket of filtered Describe calls.
 */
const FIRST_LOOKS = 10;
const FIRST_SECONDS = 1;
const LATER_SECONDS = 5;
/** Longest that any state change of EC2 is waited for; the slowest, a stop by force, takes some ten minutes. */
const LIMIT_SECONDS = 20 * 60;

/**
 * Looks until `look` returns something. Ends early when the activity is cancelled. A look that AWS refuses because
 * calls come too fast has seen nothing: the next one comes later, and the activity's tries are left for what fails.
 * @param what to follow "waited for", such as `vol-1 to be attached`
 * @param look is taken again after it was refused anywhere in it
 * @throws ApplicationFailure StillWaiting, retryable
 * @throws what refused the last look within the limit: nothing can be concluded from a look that was not taken
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { pollSeconds, limitSeconds = LIMIT_SECONDS, uncancelled = false }: WaitOptions = {},
): Promise<T> {
  const begun = Date.now();
  for (let looks = 1; ; looks++) {
    const { seen, refusal } = await unlessThrottled(look);
    if (seen !== undefined) return seen;
    const waited = (Date.now() - begun) / 1000;
    if (waited >= limitSeconds)
      throw (
        refusal?.error ??
        ApplicationFailure.retryable(
          `Waited ${Math.round(waited)} seconds in vain for ${what}.`,
          'StillWaiting',
        )
      );
    const usual = refusal?.seconds ?? (looks <= FIRST_LOOKS ? FIRST_SECONDS : LATER_SECONDS);
    // The last look is at the limit, not after it.
    const milliseconds = 1000 * Math.min(pollSeconds ?? usual, limitSeconds - waited);
    await (uncancelled ? pause(milliseconds) : sleep(milliseconds));
  }
}

async function unlessThrottled<T>(
  look: () => Promise<T | undefined>,
): Promise<{ seen?: T; refusal?: { error: unknown; seconds: number } }> {
  try {
    return { seen: await look() };
  } catch (error) {
    const seconds = throttledSeconds(error);
    if (seconds === undefined) throw error;
    return { refusal: { error, seconds } };
  }
}
