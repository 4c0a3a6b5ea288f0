import { type Account, collectGarbage, now } from '../account';
import { workFails } from '../faults/afflicted-work';
import { type SnapshotRecord } from '../state/records';
import { BLOCKS_PER_GIB } from '../storage/block';

/**
 * Last writes to pending snapshots, by snapshot, in memory only: recording each would cost a file a block. After a
 * restart the timeout counts from then at the earliest, so it never strikes too soon.
 */
export type LastWrites = Map<string, number>;

/** pending → completed, after CompleteSnapshot. */
export function finishSnapshot(account: Account, id: string): void {
  void account.background.run(id, async () => {
    await account.background.wait(account.times.snapshotComplete);
    const snapshot = account.snapshots.get(id);
    if (snapshot === undefined || snapshot.deletedAt !== undefined || !snapshot.direct?.completing) return;
    if (snapshot.state !== 'pending') return;
    if (workFails())
      return void account.snapshots.update(id, { state: 'error', stateMessage: 'Internal error.' });
    const base = snapshot.parentMap === undefined ? undefined : account.maps.get(snapshot.parentMap);
    account.maps.seal(
      id,
      snapshot.sizeGiB * BLOCKS_PER_GIB,
      base,
      snapshot.layer,
      account.layers.blocks(snapshot.layer),
    );
    account.snapshots.put({
      ...snapshot,
      state: 'completed',
      completedAt: now(),
      map: id,
      parentMap: undefined,
    });
    collectGarbage(account);
  });
}

/** Moves pending snapshots to error when nothing was written for their timeout. */
export function expireSnapshots(account: Account, lastWrites: LastWrites): void {
  for (const snapshot of account.snapshots.all()) {
    if (!isOpen(snapshot)) continue;
    const lastWrite = lastWrites.get(snapshot.id) ?? 0;
    if (Date.now() - lastWrite < snapshot.direct.timeoutMinutes * 60_000) continue;
    lastWrites.delete(snapshot.id);
    account.snapshots.put({
      ...snapshot,
      state: 'error',
      stateMessage: 'The snapshot was not completed within its timeout.',
    });
  }
}

/** Whether blocks can be written: pending, and CompleteSnapshot has not been called. */
export function isOpen(
  snapshot: SnapshotRecord,
): snapshot is SnapshotRecord & { direct: NonNullable<SnapshotRecord['direct']> } {
  return (
    snapshot.deletedAt === undefined &&
    snapshot.state === 'pending' &&
    snapshot.direct !== undefined &&
    !snapshot.direct.completing
  );
}
