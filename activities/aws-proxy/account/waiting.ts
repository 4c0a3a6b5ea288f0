import { setTimeout as pause } from 'node:timers/promises';
import { sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';

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
 * Looks until `look` returns something. Ends early when the activity is cancelled.
 * @param what to follow "waited for", such as `vol-1 to be attached`
 * @throws ApplicationFailure StillWaiting, retryable
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { pollSeconds, limitSeconds = LIMIT_SECONDS, uncancelled = false }: WaitOptions = {},
): Promise<T> {
  const begun = Date.now();
  for (let looks = 1; ; looks++) {
    const seen = await look();
    if (seen !== undefined) return seen;
    const waited = (Date.now() - begun) / 1000;
    if (waited > limitSeconds)
      throw ApplicationFailure.retryable(
        `Waited ${Math.round(waited)} seconds in vain for ${what}.`,
        'StillWaiting',
      );
    const milliseconds = 1000 * (pollSeconds ?? (looks <= FIRST_LOOKS ? FIRST_SECONDS : LATER_SECONDS));
    await (uncancelled ? pause(milliseconds) : sleep(milliseconds));
  }
}
