import { ConflictError } from './object-store';

/**
 * How often a write is tried against other writers. Every failed try means that somebody else's write succeeded (or
 * was under way), so a number that is reached means a fight that more tries would not end.
 */
const TRIES = 10;

/**
 * Reads, changes and writes an object anew for as long as others write it meanwhile.
 * @throws ConflictError where they keep doing so
 */
export async function retryConflicts<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ConflictError) || tried === TRIES) throw error;
    }
  }
}
