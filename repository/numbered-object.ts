import { ConflictError, type ObjectStore } from './object-store';

/**
 * Stores an object under the first number, from `n` on, that is free or holds the very same bytes: packs and pages are
 * never overwritten, and one that a killed worker had stored already is found again.
 */
export async function storeNumbered(
  store: ObjectStore,
  keyOf: (n: number) => string,
  n: number,
  bytes: Buffer,
): Promise<{ key: string; n: number }> {
  for (; ; n++) {
    const key = keyOf(n);
    try {
      await store.putNew(key, bytes);
      return { key, n };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if ((await store.get(key))?.body.equals(bytes)) return { key, n };
    }
  }
}
