import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { throttledSeconds } from '../../failures';
import { regardless } from './cancellation';

export interface WaitOptions {
  /** Seconds between two looks, instead of the usual pace. */
  pollSeconds?: number;
  /** Seconds until waiting makes no more sense. */
  limitSeconds?: number;
  /** Goes on although the activity was cancelled: for putting things back in order. */
  uncancelled?: boolean;
}

/**
 * Looks once a second while most things happen, a start and a stop of an instance among them, then every five. However many
 * wait for instances, volumes or snapshots, their looks are the same few calls (lookup.ts): all look at the same time.
 */
const FIRST_LOOKS = 30;
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
    const { seen, refusal } = await unlessThrottled(uncancelled ? () => regardless(look) : look);
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
    const seconds = pollSeconds ?? (looks <= FIRST_LOOKS ? FIRST_SECONDS : LATER_SECONDS);
    const usual = (pollSeconds === undefined ? refusal?.seconds : undefined) ?? untilNextBeat(seconds);
    // The last look is at the limit, not after it.
    const milliseconds = 1000 * Math.min(usual, limitSeconds - waited);
    await (uncancelled ? pause(milliseconds) : sleep(milliseconds));
  }
}

/** Seconds until a multiple of so many, by the process's clock: so all who wait look together. Never less than half of them. */
function untilNextBeat(seconds: number): number {
  if (seconds === 0) return 0;
  const left = seconds - ((performance.now() / 1000) % seconds);
  return left < seconds / 2 ? left + seconds : left;
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
