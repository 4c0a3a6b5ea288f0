import { CreateSnapshotCommand, CreateVolumeCommand, VolumeType, type EC2Client } from '@aws-sdk/client-ec2';
import { Context, sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { openFileSink } from '../../../blocks/file-sink';
import { BLOCK_SIZE } from '../../../blocks/port';
import { type RepositoryAddress } from '../../../plan/run';
import { readBlocks } from '../../../repository/packs/block-reader';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { beatingProgress, copyDisk, newProgress } from '../../block-copy';
import { withFailures } from '../../failures';
import { launchOnce, whileBeating } from '../../heartbeat';
import { attachToProxy, type ProxyHost } from '../proxy-host/attachment';
import { clientToken } from '../account/client-token';
import { findVolume } from '../account/lookup';
import { backedUpDisk, openRestoreMaps, pendingBlocks } from './extents';
import { deleteSnapshots, type DescribedSnapshot, findSnapshots, untilCompleted } from '../account/snapshots';
import { diskValues, readTags, runValues, tagList } from '../account/tags';
import { detachVolume, known, requestDeletion, volumeAvailable } from '../account/volumes';
import { waitFor } from '../account/waiting';
import { type RestoreActivities, type RestoreHostActivities } from './contract';

export interface VolumeCopyDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

export interface HostCopyDependencies {
  host: ProxyHost;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Where the progress of copies outlives the process. */
  stateDirectory: string;
}

type VolumeCopyActivities = Pick<
  RestoreActivities,
  'createCopyVolume' | 'snapshotCopyVolume' | 'deleteVolume'
>;
type VolumeInput = Parameters<VolumeCopyActivities['createCopyVolume']>[0];
type SnapshotInput = Parameters<VolumeCopyActivities['snapshotCopyVolume']>[0];
type CopyInput = Parameters<RestoreHostActivities['copyToVolume']>[0];

/** Looks for a snapshot that an earlier try may have asked for, two seconds apart: it shows within seconds. */
const LATE_LOOKS = 5;

/** The volume way of a restore, where EBS direct cannot be used. */
export function createVolumeCopyActivities(dependencies: VolumeCopyDependencies): VolumeCopyActivities {
  const { ec2, pollSeconds } = dependencies;
  return withFailures({
    createCopyVolume: (input) =>
      whileBeating(async () => {
        const volumeId = await launchOnce('CreateVolume', () => createVolume(ec2, input));
        await volumeAvailable(ec2, volumeId, { pollSeconds });
        return { volumeId };
      }),

    snapshotCopyVolume: (input) => whileBeating(() => snapshotCopyVolume(dependencies, input)),

    deleteVolume: ({ volumeId }) =>
      whileBeating(async () => {
        const volume = await findVolume(ec2, volumeId);
        if (volume === undefined) return;
        if (readTags(volume.Tags, ['role'])?.role !== 'copy-volume')
          throw ApplicationFailure.nonRetryable(
            `The volume ${volumeId} is no volume of a restore; it stays.`,
            'InvalidRequest',
          );
        // Whatever the proxy that has it still does with it, nothing on it is needed.
        await detachVolume(ec2, volumeId, { pollSeconds, force: true });
        await requestDeletion(ec2, volumeId);
        await waitFor(
          `${volumeId} to be gone`,
          async () => ((await findVolume(ec2, volumeId)) === undefined ? true : undefined),
          { pollSeconds },
        );
      }),
  } satisfies VolumeCopyActivities);
}

async function createVolume(
  ec2: EC2Client,
  { run, vm, attempt, disk, availabilityZone, kmsKey }: VolumeInput,
): Promise<string> {
  const { VolumeId } = await ec2.send(
    new CreateVolumeCommand({
      ClientToken: clientToken({ runId: run.runId, vm, disk: disk.key, attempt, call: 'CreateVolume' }),
      AvailabilityZone: availabilityZone,
      Size: disk.volumeGiB,
      VolumeType: VolumeType.gp3,
      // A volume is encrypted as the snapshot is that it is made from.
      ...(disk.parentSnapshotId !== undefined
        ? { SnapshotId: disk.parentSnapshotId }
        : kmsKey !== undefined
          ? { Encrypted: true, KmsKeyId: kmsKey }
          : {}),
      TagSpecifications: [
        {
          ResourceType: 'volume',
          Tags: tagList({ ...runValues(run), ...diskValues(disk), vm, attempt, role: 'copy-volume' }),
        },
      ],
    }),
  );
  return known('CreateVolume', VolumeId);
}

/** CreateSnapshot takes no client token: one of this volume is looked up first, and one of several chosen by rule. */
async function snapshotCopyVolume(
  { ec2, objectStore, pollSeconds }: VolumeCopyDependencies,
  { run, vm, attempt, restore, disk, volumeId }: SnapshotInput,
): Promise<{ snapshotId: string }> {
  const tags = { ...runValues(run), vm, disk: disk.key, attempt, role: 'pending-copy' } as const;
  const looks = Context.current().info.attempt > 1 ? LATE_LOOKS : 1;
  let found: DescribedSnapshot[] = [];
  for (let look = 1; look <= looks && found.length === 0; look++) {
    if (look > 1) await sleep('2 seconds');
    found = (await findSnapshots(ec2, tags)).filter(({ VolumeId }) => VolumeId === volumeId);
  }
  const [chosen, ...others] = found
    .filter(({ State }) => State !== 'error')
    .sort((a, b) => Number(a.StartTime) - Number(b.StartTime) || (a.SnapshotId < b.SnapshotId ? -1 : 1));
  const failed = found.filter(({ State }) => State === 'error');
  await deleteSnapshots(
    ec2,
    [...others, ...failed].map(({ SnapshotId }) => SnapshotId),
  );

  let snapshotId = chosen?.SnapshotId;
  if (snapshotId === undefined) {
    const store = objectStore(run.repository);
    const { blockMapSha256 } = await backedUpDisk(store, vm, restore.recoveryPoint, disk);
    const created = await ec2.send(
      new CreateSnapshotCommand({
        VolumeId: volumeId,
        Description: `Lifeboat: ${disk.key} of ${vm} at ${restore.takenAt}`,
        TagSpecifications: [
          {
            ResourceType: 'snapshot',
            Tags: tagList({
              ...tags,
              ...diskValues(disk),
              diskCount: restore.disks.length,
              recoveryPoint: restore.recoveryPoint,
              takenAt: restore.takenAt,
              blockMap: blockMapSha256,
            }),
          },
        ],
      }),
    );
    snapshotId = known('CreateSnapshot', created.SnapshotId);
  }
  await untilCompleted(ec2, [snapshotId], pollSeconds);
  return { snapshotId };
}

/** The part of the volume way that is bound to the host to which the volume is attached. */
export function createHostCopyActivities(
  dependencies: HostCopyDependencies,
): Pick<RestoreHostActivities, 'copyToVolume'> {
  return withFailures({
    copyToVolume: (input: CopyInput) => copyToVolume(dependencies, input),
  } satisfies Pick<RestoreHostActivities, 'copyToVolume'>);
}

async function copyToVolume(
  { host, objectStore, stateDirectory }: HostCopyDependencies,
  { run, vm, restore, disk, volumeId }: CopyInput,
) {
  const store = objectStore(run.repository);
  const progress = newProgress('restore', vm, disk.key);
  return beatingProgress(progress, async () => {
    const maps = await openRestoreMaps(store, vm, restore.recoveryPoint, disk);
    const range = { from: 0, to: maps.map.blocks };
    const attached = await attachToProxy(host, { volumeId });
    try {
      if (attached.sizeBytes !== disk.volumeGiB * 2 ** 30)
        throw ApplicationFailure.nonRetryable(
          `The volume ${volumeId} has ${attached.sizeBytes} bytes; the disk "${disk.key}" of ${vm} needs ${disk.volumeGiB} GiB.`,
          'WrongVolume',
        );
      return await copyDisk({
        progress,
        stateDirectory,
        identity: [
          'volume',
          run.runId,
          vm,
          disk.key,
          volumeId,
          maps.blockMapSha256,
          disk.parentRecoveryPoint ?? '',
        ],
        range,
        totalBlocks: disk.blocks,
        totalBytes: disk.blocks * BLOCK_SIZE,
        // The volume has room for the last block as a whole.
        openSink: () => openFileSink(attached.path, attached.sizeBytes),
        durable: 'when flushed',
        read: (isPending, signal) => readBlocks(store, pendingBlocks(maps, range, isPending), signal),
      });
    } finally {
      await attached.detach();
    }
  });
}
