import { type ObjectStore } from './object-store';

/**
 * What S3 and stores like it say of a deletion that a lock forbids: "Access Denied because object protected by object lock." of S3 and
 * Ceph, "Object is WORM protected and cannot be overwritten" of MinIO. Any other refusal is of the role, which somebody has to mend.
 */
const HELD = /object.?lock|WORM.?protected|legal hold/i;

/**
 * Deletes an object that nothing needs. In a versioned bucket, which one with Object Lock always is, S3 puts a delete marker over it and
 * refuses nothing: the version goes by the bucket's lifecycle when its retention is over. A store that refuses instead is not fought.
 * @returns false where a lock holds it
 */
export async function deleteUnlessHeld(store: ObjectStore, key: string): Promise<boolean> {
  try {
    await store.delete(key);
    return true;
  } catch (error) {
    if (error instanceof Error && HELD.test(error.message)) return false;
    throw error;
  }
}
