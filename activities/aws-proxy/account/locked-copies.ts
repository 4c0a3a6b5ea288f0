import { type EC2Client } from '@aws-sdk/client-ec2';
import { completeSets, type CopySnapshot, type DrCopySet } from './dr-copy';
import { findLocks, type HeldLock } from './snapshot-locks';

/** A DR copy all of whose snapshots are locked. */
export interface LockedDrCopy {
  vm: string;
  recoveryPoint: string;
  /** ISO 8601, UTC. */
  takenAt: string;
  /** ISO 8601, UTC: when the last of its snapshots was locked, and the end of the first lock that ends. */
  lockedAt: string;
  until: string;
}

/** Those of the DR copies that are locked as a whole, in their order. */
export function lockedCopies(
  sets: Iterable<DrCopySet>,
  locks: ReadonlyMap<string, HeldLock>,
): LockedDrCopy[] {
  return [...sets].flatMap(({ vm, recoveryPoint, takenAt, disks }): LockedDrCopy[] => {
    const held = disks.flatMap(({ snapshotId }) => locks.get(snapshotId) ?? []);
    const begun = held.flatMap(({ lockedAt }) => lockedAt ?? []).sort();
    const ends = held.flatMap(({ until }) => until ?? []).sort();
    if (begun.length < disks.length || ends.length < disks.length) return [];
    return [{ vm, recoveryPoint, takenAt, lockedAt: begun.at(-1) ?? '', until: ends[0] ?? '' }];
  });
}

/** Every complete set among a plan's published snapshots, also those that a newer one has replaced, by VM and newest first. */
export function allSets(published: CopySnapshot[]): Map<string, DrCopySet[]> {
  const byVm = Map.groupBy(published, ({ tags }) => tags.vm);
  return new Map([...byVm].map(([vm, snapshots]) => [vm, completeSets(vm, snapshots)]));
}

/** The locked DR copies of a plan, by VM and newest first. @throws where EC2 does not say which are locked */
export async function findLockedCopies(
  ec2: EC2Client,
  sets: ReadonlyMap<string, DrCopySet[]>,
): Promise<Map<string, LockedDrCopy[]>> {
  const ids = [...sets.values()].flat().flatMap(({ disks }) => disks.map(({ snapshotId }) => snapshotId));
  const locks = await findLocks(ec2, ids);
  return new Map([...sets].map(([vm, ofVm]) => [vm, lockedCopies(ofVm, locks)]));
}
