import { type Backoff, withBackoff } from '../../blocks/backoff';
import { isTransientAwsError } from '../../blocks/transient';
import { ConflictError, type ObjectStore } from './object-store';

/** Some 10 s in all: longer troubles are for the activity's retry. */
const BACKOFF: Backoff = { attempts: 8, baseMs: 100, capMs: 5000 };

/**
 * Stores an object under the first number that is free or holds the very same bytes: packs and pages are never
 * overwritten, and one that a killed worker had stored already is found again.
 * @param n the number to try first
 * @param next gives the number to try after one that is taken
 */
export async function storeNumbered(
  store: ObjectStore,
  keyOf: (n: number) => string,
  n: number,
  next: () => number,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<{ key: string; n: number }> {
  for (; ; n = next()) {
    const key = keyOf(n);
    try {
      await withBackoff(BACKOFF, signal, isTransientAwsError, () => store.putNew(key, bytes));
      return { key, n };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if ((await store.get(key))?.body.equals(bytes)) return { key, n };
    }
  }
}
