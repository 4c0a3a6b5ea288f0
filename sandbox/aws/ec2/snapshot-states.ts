import { type Account, collectGarbage, now } from '../account';
import { workFails } from '../faults/afflicted-work';
import { newId } from '../state/ids';
import { type SnapshotRecord, type Tags, type VolumeRecord } from '../state/records';
import { BLOCKS_PER_GIB } from '../storage/block';

/** What a new snapshot of a volume is called and tagged. */
export interface SnapshotOrder {
  volume: VolumeRecord;
  description: string;
  tags: Tags;
}

/**
 * Snapshots of volumes at one instant: each is frozen before the first answer, and its blocks are stored afterwards.
 * The caller sees to it that nobody writes meanwhile.
 */
export async function freezeVolumes(account: Account, orders: SnapshotOrder[]): Promise<SnapshotRecord[]> {
  const startedAt = now();
  const frozen: { id: string; order: SnapshotOrder; stagingFile: string }[] = [];
  for (const order of orders) {
    const id = newId('snap');
    frozen.push({ id, order, stagingFile: await account.volumeFiles.freeze(order.volume.id, `${id}.raw`) });
  }
  // All records only now: with them, and not before, the snapshots exist.
  return frozen.map(({ id, order, stagingFile }) => {
    const { volume, description, tags } = order;
    const baseMap = account.volumes.get(volume.id)?.baseMap;
    const snapshot = account.snapshots.put({
      id,
      tags,
      createdAt: startedAt,
      startedAt,
      state: 'pending',
      volumeId: volume.id,
      sizeGiB: volume.sizeGiB,
      description,
      encrypted: volume.encrypted,
      kmsKeyId: volume.kmsKeyId,
      lineage: volume.lineage,
      layer: id,
      copy: { stagingFile, baseMap },
    });
    storeFrozen(account, id);
    return snapshot;
  });
}

/** pending → completed of a snapshot of a volume: stores the blocks that differ from what the volume came from. */
export function storeFrozen(account: Account, id: string): void {
  void account.background.run(id, async () => {
    const snapshot = account.snapshots.get(id);
    if (snapshot?.copy === undefined || snapshot.deletedAt !== undefined) return;
    const { stagingFile, baseMap } = snapshot.copy;
    const base = baseMap === undefined ? undefined : account.maps.get(baseMap);
    const alive = (): boolean => account.snapshots.get(id)?.deletedAt === undefined;
    const wait = account.background.wait(account.times.snapshotComplete);
    wait.catch(() => {}); // awaited below; an early end must not count as unhandled while the copy still runs
    try {
      await account.volumeFiles.storeDifference(stagingFile, base, id, alive);
    } catch (error) {
      if (alive())
        account.snapshots.update(id, {
          state: 'error',
          stateMessage: 'The blocks could not be stored.',
          copy: undefined,
        });
      account.volumeFiles.deleteStaging(stagingFile);
      throw error;
    }
    await wait;
    const current = account.snapshots.get(id);
    if (current === undefined || current.deletedAt !== undefined) return;
    if (workFails()) {
      account.snapshots.update(id, { state: 'error', stateMessage: 'Internal error.', copy: undefined });
      return account.volumeFiles.deleteStaging(stagingFile);
    }
    account.maps.seal(id, snapshot.sizeGiB * BLOCKS_PER_GIB, base, id, account.layers.blocks(id));
    account.snapshots.put({ ...current, state: 'completed', completedAt: now(), map: id, copy: undefined });
    // The volume's next snapshot holds only what changes from here, as on EBS.
    if (account.volumes.get(snapshot.volumeId)?.deletedAt === undefined)
      account.volumes.update(snapshot.volumeId, { baseMap: id });
    account.volumeFiles.deleteStaging(stagingFile);
    collectGarbage(account);
  });
}

/** Deletes a snapshot for good; blocks that others need stay. */
export function removeSnapshot(account: Account, snapshot: SnapshotRecord): void {
  account.snapshots.put({ ...snapshot, deletedAt: now() });
  // A copy under way has the staging file open; it ends early and leaves nothing behind.
  if (snapshot.copy !== undefined) account.volumeFiles.deleteStaging(snapshot.copy.stagingFile);
  void account.background.run(snapshot.id, async () => collectGarbage(account));
}
