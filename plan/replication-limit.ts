import { z } from 'zod';
import { type DailyWindow, isOpen, isTimeZone, nextChange, windowMinutes } from './daily-window';

/** Megabits (10^6) a second; more than 100 Gbit/s no proxy sends, and less than 1 Mbit/s makes no backup. */
const mbitPerSecond = z.number().min(1).max(100_000);

/**
 * How much of the primary site's line replication may take, and when. Two things that users of backup software know apart:
 * a window, within which scheduled backups begin, and a limit of the bandwidth, which may be another outside of the window,
 * for what is still under way then.
 */
export const replicationLimit = z
  .object({
    /** The most that one backup proxy sends to the repository, or reads in a failback, for this plan. */
    mbitPerSecond: mbitPerSecond.optional(),
    /** The same outside of `between`. */
    mbitPerSecondOutside: mbitPerSecond.optional(),
    /** When scheduled backups may begin. One that is under way when the window closes goes on. */
    between: z
      .string()
      .refine(
        (text) => windowMinutes(text) !== undefined,
        'must be two different times of day like 22:00-06:00; leave it out where backups may run at any time',
      )
      .optional(),
    /** Whose clock `between` goes by. */
    timeZone: z
      .string()
      .max(100)
      .refine(isTimeZone, 'must be a time zone of the IANA database such as Europe/Berlin or UTC')
      .default('UTC'),
  })
  .strict()
  .refine(
    ({ mbitPerSecond: most, between }) => most !== undefined || between !== undefined,
    'needs mbitPerSecond, between or both',
  )
  .refine(
    ({ mbitPerSecondOutside, between }) => mbitPerSecondOutside === undefined || between !== undefined,
    'has mbitPerSecondOutside without between: outside of what?',
  );

export type ReplicationLimit = z.output<typeof replicationLimit>;

/** The window of a limit; undefined where it has none. */
export function windowOf(limit: ReplicationLimit | undefined): DailyWindow | undefined {
  return limit?.between === undefined ? undefined : { between: limit.between, timeZone: limit.timeZone };
}

/** Bytes a second that may be sent or read at that instant; Infinity where there is no limit. */
export function bytesPerSecondAt(limit: ReplicationLimit | undefined, at: Date): number {
  if (limit === undefined) return Infinity;
  const { mbitPerSecond: most, mbitPerSecondOutside: outside = most } = limit;
  const window = windowOf(limit);
  const present = window === undefined || outside === most || isOpen(window, at) ? most : outside;
  return present === undefined ? Infinity : (present * 1_000_000) / 8;
}

/** Why no scheduled backup may begin now. */
export interface ClosedWindow extends DailyWindow {
  /** ISO 8601, UTC. */
  opensAt: string;
}

/** @returns undefined where a backup may begin */
export function closedWindow(limit: ReplicationLimit | undefined, at: Date): ClosedWindow | undefined {
  const window = windowOf(limit);
  const opens = window === undefined ? undefined : opensAt(window, at);
  return window === undefined || opens === undefined ? undefined : { ...window, opensAt: opens };
}

/** @returns ISO 8601, UTC; undefined where the window is open */
export function opensAt(window: DailyWindow, at: Date): string | undefined {
  if (isOpen(window, at)) return undefined;
  const opens = nextChange(window, at);
  // In hours that the clock leaves out today and tomorrow: to be asked again tomorrow.
  return (opens ?? new Date(at.getTime() + 86_400_000)).toISOString();
}
