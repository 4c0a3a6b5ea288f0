import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { openBlockMap, newestManifest, readManifest } from '../../../repository/backups/backups';
import { pinInUse } from '../../../repository/backups/building-on';
import { DamagedObjectError } from '../../../repository/objects/json-object';
import { type BackedUpDisk, type BackupManifest } from '../../../repository/backups/manifest';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { pinBackups } from '../../../repository/backups/pins';
import { isTurnedAway } from '../../../plan/lines';
import { readPlanState } from '../../../repository/plans/plan-state';
import { withFailures } from '../../failures';
import { whileBeating } from '../../heartbeat';
import {
  type PlannedRestoreDisk,
  type RestoreActivities,
  type RestoreDisk,
  type RestorePlan,
} from './contract';
import { type DrCopySet, findDrCopy } from '../account/dr-copy';
import { openRestoreMaps, planExtents } from './extents';

export interface RestorePlanDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

type RestorePlanActivities = Pick<RestoreActivities, 'planRestore'>;

/** What StartSnapshot takes as KmsKeyArn. A key's id or alias would do elsewhere, but can mean another key tomorrow. */
const KMS_KEY_ARN = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/;

/** Finds out what a restore of a VM has to do. */
export function createRestorePlanActivities({
  ec2,
  objectStore,
}: RestorePlanDependencies): RestorePlanActivities {
  return withFailures({
    planRestore: ({ run, vm, kmsKey }) =>
      whileBeating(async () => {
        const store = objectStore(run.repository);
        requireKmsKey(kmsKey);
        const manifest = await newestManifest(store, vm);
        if (manifest === undefined)
          throw ApplicationFailure.nonRetryable(
            `The backup repository has no backup of ${vm} yet. Back it up first: lifeboat backup.`,
            'BackupNotFound',
          );
        if (isTurnedAway((await readPlanState(store, run.plan)) ?? {}, manifest))
          throw ApplicationFailure.nonRetryable(
            `The newest backup of ${vm}, of ${manifest.takenAt}, is of the line that a failover to an older recovery point ` +
              `turned away from. Back ${vm} up first: lifeboat backup.`,
            'TurnedAway',
          );
        const copy = await findDrCopy(ec2, run.plan, vm);
        requireNewer(manifest, copy);
        const plan = await compare(store, manifest, copy, kmsKey);
        if (!plan.upToDate && !(await pin(store, run, vm, plan)))
          throw ApplicationFailure.create({
            type: 'BackupRetired',
            message: `The backup ${plan.recoveryPoint} of ${vm} was retired a moment ago; a newer one is there.`,
            nextRetryDelay: '1 second',
          });
        return plan;
      }),
  } satisfies RestorePlanActivities);
}

/** @throws ApplicationFailure InvalidPlan, non-retryable, where the plan's KMS key is not what StartSnapshot takes */
export function requireKmsKey(kmsKey: string | undefined): void {
  if (kmsKey !== undefined && !KMS_KEY_ARN.test(kmsKey))
    throw ApplicationFailure.nonRetryable(
      `recoverySite.kmsKey in the plan is "${kmsKey}"; write the ARN of the key (arn:aws:kms:…:key/…).`,
      'InvalidPlan',
    );
}

/**
 * Keeps what the restore will read from being collected; given up when its DR copy is published, or discarded.
 * @returns false where the backup is not in use any more
 */
export async function pin(
  store: ObjectStore,
  run: RunContext,
  vm: string,
  plan: RestorePlan,
): Promise<boolean> {
  const user = { runId: run.runId };
  // The DR copy itself holds these, for as long as it is the DR copy.
  const parents = plan.disks.flatMap(({ parentRecoveryPoint }) => parentRecoveryPoint ?? []);
  await pinBackups(store, vm, user, [...new Set(parents)]);
  return pinInUse(store, vm, user, [plan.recoveryPoint]);
}

function requireNewer({ vm, takenAt }: BackupManifest, copy: DrCopySet | undefined): void {
  if (copy !== undefined && Date.parse(copy.takenAt) > Date.parse(takenAt))
    throw ApplicationFailure.nonRetryable(
      `The DR copy of ${vm} holds ${copy.takenAt}, but the newest backup in the repository is older: ${takenAt}. ` +
        `Restoring it would lose data. Back ${vm} up again, or check that the plan names the right repository.`,
      'BackupOlderThanDrCopy',
    );
}

/** What a copy of a backup, newer or older, as children of a DR copy's snapshots has to write. */
export async function compare(
  store: ObjectStore,
  manifest: BackupManifest,
  copy: DrCopySet | undefined,
  kmsKey: string | undefined,
): Promise<RestorePlan> {
  const { vm, backupId: recoveryPoint, takenAt } = manifest;
  const disks: PlannedRestoreDisk[] = [];
  const reasons: string[] = [];
  for (const disk of manifest.configuration.disks) {
    const lineage = await findParent(store, copy, disk, kmsKey);
    if (typeof lineage === 'string' && !reasons.includes(lineage)) reasons.push(lineage);
    disks.push({
      ...disk,
      // EBS sizes are whole GiB.
      volumeGiB: Math.ceil(disk.sizeBytes / 2 ** 30),
      ...(typeof lineage === 'string' ? {} : lineage),
      blocks: 0,
      extents: [],
    });
  }
  const same =
    reasons.length === 0 && copy?.recoveryPoint === recoveryPoint && copy.disks.length === disks.length;
  if (!same)
    for (const disk of disks) {
      const reason = await planCopy(store, vm, recoveryPoint, disk);
      if (reason !== undefined) reasons.push(reason);
    }
  return {
    recoveryPoint,
    takenAt,
    upToDate: same,
    kind: reasons.length === 0 ? 'incremental' : 'full',
    ...(reasons.length === 0 ? {} : { reason: reasons.join('; ') }),
    disks,
  };
}

/**
 * Finds out what of a disk is to be copied. Where a page of the parent's block map turns out to be damaged, that is all
 * of it.
 * @returns why the copy became a full one, where it did
 */
async function planCopy(
  store: ObjectStore,
  vm: string,
  recoveryPoint: string,
  disk: PlannedRestoreDisk,
): Promise<string | undefined> {
  let reason: string | undefined;
  try {
    disk.extents = await planExtents(await openRestoreMaps(store, vm, recoveryPoint, disk));
  } catch (error) {
    if (!(error instanceof DamagedObjectError) || disk.parentRecoveryPoint === undefined) throw error;
    reason = `the block map of ${disk.parentRecoveryPoint} is damaged: ${error.message}`;
    delete disk.parentSnapshotId;
    delete disk.parentRecoveryPoint;
    disk.extents = await planExtents(await openRestoreMaps(store, vm, recoveryPoint, disk));
  }
  disk.blocks = disk.extents.reduce((sum, { blocks }) => sum + blocks, 0);
  return reason;
}

type Parent = Required<Pick<RestoreDisk, 'parentSnapshotId' | 'parentRecoveryPoint'>>;

/**
 * The snapshot that a disk's new one can be a child of; or, in words, why there is none. Only what is certain about
 * the parent's blocks makes it one: they must be exactly those of a block map that is there.
 */
async function findParent(
  store: ObjectStore,
  copy: DrCopySet | undefined,
  disk: { key: string; sizeBytes: number },
  kmsKey: string | undefined,
): Promise<Parent | string> {
  if (copy === undefined) return 'there is no complete DR copy yet';
  const parent = copy.disks.find(({ key }) => key === disk.key);
  if (parent === undefined) return `the disk "${disk.key}" is new`;
  if (parent.sizeBytes !== disk.sizeBytes)
    return `the disk "${disk.key}" was resized from ${parent.sizeBytes} to ${disk.sizeBytes} bytes`;
  // A child inherits its parent's encryption, so only a new chain can have another key.
  if (kmsKey !== undefined && parent.kmsKey !== kmsKey)
    return `the KMS key changed from ${parent.kmsKey ?? 'none'} to ${kmsKey}`;
  const backup = await backupOf(store, copy, disk.key);
  if (typeof backup === 'string') return backup;
  if (backup.blockMapSha256 !== parent.blockMapSha256 || backup.sizeBytes !== disk.sizeBytes)
    return `the snapshot ${parent.snapshotId} of "${disk.key}" was not made of the backup that it names`;
  return { parentSnapshotId: parent.snapshotId, parentRecoveryPoint: copy.recoveryPoint };
}

async function backupOf(store: ObjectStore, copy: DrCopySet, key: string): Promise<BackedUpDisk | string> {
  const missing = `the repository lacks the backup ${copy.recoveryPoint} that the DR copy holds`;
  try {
    const backup = (await readManifest(store, copy.vm, copy.recoveryPoint))?.disks.find(
      (disk) => disk.key === key,
    );
    if (backup === undefined) return missing;
    // Opening it tells that it is there; its pages are read only where they differ.
    await openBlockMap(store, copy.vm, backup);
    return backup;
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    return `${missing}, or it is damaged: ${error.message}`;
  }
}
