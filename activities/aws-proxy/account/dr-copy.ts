import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { byPlace, placeConflict } from '../../../machines/disk-place';
import { readManifest } from '../../../repository/backups/backups';
import { type GuestRehearsal } from '../../../repository/backups/manifest';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type DrCopy, type DrCopyDisk } from './contract';
import { type DescribedSnapshot, findSnapshots, taggedSnapshots, type TaggedSnapshot } from './snapshots';
import { diskOf, readCopySnapshot, type TagValues } from './tags';

/** A DR copy as the recovery site knows it; the VM's hardware is in the backup's manifest only. */
export type DrCopySet = Omit<DrCopy, 'configuration' | 'disks' | 'notes'> & {
  /** The run that made it. */
  runId: string;
  disks: (DrCopyDisk & {
    /** SHA-256 (lower-case hex) of the block map that the snapshot holds. */
    blockMapSha256: string;
    /** ARN of the KMS key; absent where the snapshot is not encrypted. */
    kmsKey?: string;
  })[];
};

/** A snapshot of replication with what its tags say. */
export type CopySnapshot = TaggedSnapshot<NonNullable<ReturnType<typeof readCopySnapshot>>>;

/** Snapshots of replication that carry all of the tags, in whatever state, whose own tags are whole. */
export async function findCopySnapshots(
  ec2: EC2Client,
  tags: Pick<TagValues, 'plan'> & Partial<TagValues>,
): Promise<CopySnapshot[]> {
  return copySnapshots(await findSnapshots(ec2, tags));
}

/** Those of the snapshots that are of replication, and whose tags are whole. */
export function copySnapshots(snapshots: DescribedSnapshot[]): CopySnapshot[] {
  return taggedSnapshots(snapshots, readCopySnapshot);
}

/**
 * The VM's DR copy: the newest set that is complete, which means published, all its disks there, all completed and of
 * one recovery point and one run. Snapshots of different sets are never mixed.
 * @returns undefined where there is no complete set
 */
export async function findDrCopy(ec2: EC2Client, plan: string, vm: string): Promise<DrCopySet | undefined> {
  return newestSets(await findCopySnapshots(ec2, { plan, vm, role: 'dr-copy' })).get(vm);
}

/** The DR copies of all of a plan's VMs, as {@link findDrCopy} finds each, by one list. A VM without one is absent. */
export async function findDrCopies(ec2: EC2Client, plan: string): Promise<Map<string, DrCopySet>> {
  return newestSets(await findCopySnapshots(ec2, { plan, role: 'dr-copy' }));
}

/** The newest complete set among published snapshots, by VM. */
export function newestSets(published: CopySnapshot[]): Map<string, DrCopySet> {
  const newest = new Map<string, DrCopySet>();
  for (const [vm, snapshots] of Map.groupBy(published, ({ tags }) => tags.vm)) {
    const [set] = completeSets(vm, snapshots);
    if (set !== undefined) newest.set(vm, set);
  }
  return newest;
}

/** The complete sets among a VM's published snapshots, newest first. */
export function completeSets(vm: string, published: CopySnapshot[]): DrCopySet[] {
  const sets = Map.groupBy(published, ({ tags }) => JSON.stringify([tags.recoveryPoint, tags.run]));
  return (
    [...sets.values()]
      .flatMap((members) => completeSet(vm, members) ?? [])
      // Two runs can have copied one recovery point; which of the two counts must not depend on AWS's order.
      .sort((a, b) => Date.parse(b.takenAt) - Date.parse(a.takenAt) || (a.runId < b.runId ? -1 : 1))
  );
}

function completeSet(vm: string, members: CopySnapshot[]): DrCopySet | undefined {
  const first = members[0]?.tags;
  if (first === undefined || members.length !== first.diskCount) return undefined;
  const agree = members.every(
    ({ snapshot, tags }) =>
      tags.role === 'dr-copy' &&
      tags.vm === vm &&
      tags.diskCount === first.diskCount &&
      tags.takenAt === first.takenAt &&
      snapshot.State === 'completed' &&
      (snapshot.VolumeSize ?? 0) * 2 ** 30 >= tags.sizeBytes,
  );
  const keys = new Set(members.map(({ tags }) => tags.disk));
  const conflict = placeConflict(members.map(({ tags }) => diskOf(tags)));
  const bootDisks = members.filter(({ tags }) => tags.boot).length;
  if (!agree || keys.size !== members.length || conflict !== undefined || bootDisks !== 1) return undefined;
  return {
    vm,
    recoveryPoint: first.recoveryPoint,
    takenAt: first.takenAt,
    runId: first.run,
    disks: members
      .map(({ snapshot, tags }) => ({
        ...diskOf(tags),
        snapshotId: snapshot.SnapshotId,
        volumeGiB: snapshot.VolumeSize ?? 0,
        blockMapSha256: tags.blockMap,
        ...(snapshot.Encrypted === true && snapshot.KmsKeyId !== undefined
          ? { kmsKey: snapshot.KmsKeyId }
          : {}),
      }))
      .sort(byPlace),
  };
}

/** A DR copy as {@link withBackup} gives it, without the rest. */
export async function withConfiguration(store: ObjectStore, copy: DrCopySet): Promise<DrCopy> {
  return (await withBackup(store, copy)).drCopy;
}

/**
 * A DR copy with the VM's hardware, and what is known of its guest, from the manifest of the backup that it holds.
 * @throws ApplicationFailure BackupNotFound, non-retryable, where the repository has no such backup
 * @throws ApplicationFailure DrCopyMismatch, non-retryable, where the backup had other disks than the DR copy
 */
export async function withBackup(
  store: ObjectStore,
  copy: DrCopySet,
): Promise<{ drCopy: DrCopy; guest?: GuestRehearsal }> {
  const manifest = await readManifest(store, copy.vm, copy.recoveryPoint);
  if (manifest === undefined)
    throw ApplicationFailure.nonRetryable(
      `The repository lacks the backup ${copy.recoveryPoint} that the DR copy of ${copy.vm} holds, and with it the ` +
        `VM's configuration. Back up and restore ${copy.vm} again.`,
      'BackupNotFound',
    );
  const { configuration, guest, notes } = manifest;
  const described = new Map(configuration.disks.map((disk) => [disk.key, disk]));
  const same =
    described.size === copy.disks.length &&
    copy.disks.every(({ key, sizeBytes, boot }) => {
      const disk = described.get(key);
      return disk?.sizeBytes === sizeBytes && disk.boot === boot;
    });
  if (!same)
    throw ApplicationFailure.nonRetryable(
      `The DR copy of ${copy.vm} and its backup ${copy.recoveryPoint} do not have the same disks. Restore ${copy.vm} again.`,
      'DrCopyMismatch',
    );
  const drCopy: DrCopy = {
    vm: copy.vm,
    recoveryPoint: copy.recoveryPoint,
    takenAt: copy.takenAt,
    configuration,
    disks: copy.disks.map(({ key, sizeBytes, slot, controller, boot, snapshotId, volumeGiB }) => ({
      key,
      sizeBytes,
      slot,
      ...(controller === undefined ? {} : { controller }),
      boot,
      snapshotId,
      volumeGiB,
    })),
    ...(notes === undefined ? {} : { notes }),
  };
  return { drCopy, ...(guest === undefined ? {} : { guest }) };
}

/** A DR copy that was published a moment ago is not, or not wholly, in EC2's lists yet: worth looking again. */
export function notYetVisible(vm: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'NotYetVisible',
    message: `EC2 does not list the whole DR copy of ${vm} yet.`,
    nextRetryDelay: '3 seconds',
  });
}
