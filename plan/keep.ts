/** The longest that a test may be kept: one that is forgotten costs money. */
export const MAX_KEEP_SECONDS = 14 * 86_400;

/** @param keep what comes from outside, which is anything at all */
export const isKeep = (keep: unknown): keep is number =>
  typeof keep === 'number' && Number.isInteger(keep) && keep >= 1 && keep <= MAX_KEEP_SECONDS;

export const KEEP_FORM = 'from a second to 14 days';
