import {
  type CreateSnapshotRequest,
  type CreateSnapshotsRequest,
  type CreateSnapshotsResult,
  type DeleteSnapshotRequest,
  type DescribeSnapshotsRequest,
  type DescribeSnapshotsResult,
  type Snapshot,
  type SnapshotInfo,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../account';
import { type InstanceRecord, type SnapshotRecord, type VolumeRecord } from '../state/records';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { checkDryRun, findInstance, findSnapshot, findVolume, select } from './lookup';
import { page } from './paging';
import { checkNotLocked } from './snapshot-locks';
import { freezeVolumes, removeSnapshot } from './snapshot-states';
import { specifiedTags, tagList } from './tags';

const progress = (snapshot: SnapshotRecord): string => (snapshot.state === 'completed' ? '100%' : '0%');

function view(snapshot: SnapshotRecord): Snapshot {
  return {
    SnapshotId: snapshot.id,
    VolumeId: snapshot.volumeId,
    State: snapshot.state,
    StateMessage: snapshot.stateMessage,
    Progress: progress(snapshot),
    StartTime: new Date(snapshot.startedAt),
    CompletionTime: snapshot.completedAt === undefined ? undefined : new Date(snapshot.completedAt),
    VolumeSize: snapshot.sizeGiB,
    Description: snapshot.description,
    Encrypted: snapshot.encrypted,
    KmsKeyId: snapshot.kmsKeyId,
    OwnerId: ACCOUNT_ID,
    StorageTier: 'standard',
    Tags: tagList(snapshot.tags),
  };
}

export function snapshotHandlers(account: Account) {
  /** Runs work while nobody writes to the instance's volumes. */
  function standingStill<T>(instance: InstanceRecord | undefined, work: () => Promise<T>): Promise<T> {
    const runs =
      instance !== undefined && !instance.host && ['running', 'stopping', 'pending'].includes(instance.state);
    return runs ? account.runner.whilePaused(instance.id, work) : work();
  }

  function checkVolume(volume: VolumeRecord): void {
    if (volume.state !== 'available' && volume.state !== 'in-use')
      throw new AwsError('IncorrectState', `Volume '${volume.id}' is in the '${volume.state}' state.`);
    if (!account.volumeFiles.exists(volume.id))
      throw new AwsError('IncorrectState', `Volume '${volume.id}' is still being created.`);
  }

  return {
    async CreateSnapshot(input: CreateSnapshotRequest): Promise<Snapshot> {
      const volume = findVolume(account, input.VolumeId);
      checkVolume(volume);
      const tags = specifiedTags(input.TagSpecifications, 'snapshot');
      checkDryRun(input);
      const instance = volume.attachment && account.instances.get(volume.attachment.instanceId);
      const order = { volume, description: input.Description ?? '', tags };
      const [snapshot] = await standingStill(instance, () => freezeVolumes(account, [order]));
      return view(snapshot!);
    },

    async CreateSnapshots(input: CreateSnapshotsRequest): Promise<CreateSnapshotsResult> {
      const instance = findInstance(account, input.InstanceSpecification?.InstanceId);
      const excluded = new Set(input.InstanceSpecification?.ExcludeDataVolumeIds);
      const isRoot = (volume: VolumeRecord): boolean => volume.attachment?.device === instance.rootDeviceName;
      const volumes = account.volumes
        .all()
        .filter(
          (volume) => volume.attachment?.instanceId === instance.id && volume.attachment.state === 'attached',
        )
        .filter((volume) => !(input.InstanceSpecification?.ExcludeBootVolume && isRoot(volume)))
        .filter((volume) => !excluded.has(volume.id))
        .sort((a, b) => ((a.attachment?.device ?? '') < (b.attachment?.device ?? '') ? -1 : 1));
      if (volumes.length === 0)
        throw new AwsError(
          'InvalidParameterValue',
          `Instance '${instance.id}' has no volumes to take snapshots of.`,
        );
      volumes.forEach(checkVolume);
      const tags = specifiedTags(input.TagSpecifications, 'snapshot');
      checkDryRun(input);
      const orders = volumes.map((volume) => ({
        volume,
        description: input.Description ?? '',
        tags: { ...(input.CopyTagsFromSource === 'volume' ? volume.tags : {}), ...tags },
      }));
      const snapshots = await standingStill(instance, () => freezeVolumes(account, orders));
      return { Snapshots: snapshots.map(infoView) };
    },

    DeleteSnapshot(input: DeleteSnapshotRequest): void {
      const snapshot = findSnapshot(account, input.SnapshotId);
      const image = account.images
        .all()
        .find(
          ({ deletedAt, blockDevices }) =>
            deletedAt === undefined && blockDevices.some((d) => d.snapshotId === snapshot.id),
        );
      if (image !== undefined)
        throw new AwsError(
          'InvalidSnapshot.InUse',
          `The snapshot ${snapshot.id} is currently in use by ${image.id}`,
        );
      checkNotLocked(account, snapshot);
      checkDryRun(input);
      removeSnapshot(account, snapshot);
    },

    DescribeSnapshots(input: DescribeSnapshotsRequest): DescribeSnapshotsResult {
      const mine =
        !input.OwnerIds?.length || input.OwnerIds.some((owner) => owner === 'self' || owner === ACCOUNT_ID);
      const snapshots = mine
        ? select(account.snapshots, input.SnapshotIds, (id) => findSnapshot(account, id))
        : [];
      const found = filterItems(
        snapshots,
        input.Filters,
        {
          'snapshot-id': ({ id }) => [id],
          'volume-id': ({ volumeId }) => [volumeId],
          'volume-size': ({ sizeGiB }) => [sizeGiB],
          status: ({ state }) => [state],
          progress: (snapshot) => [progress(snapshot)],
          description: ({ description }) => [description],
          encrypted: ({ encrypted }) => [encrypted],
          'owner-id': () => [ACCOUNT_ID],
          'start-time': ({ startedAt }) => [startedAt],
          'storage-tier': () => ['standard'],
        },
        ({ tags }) => tags,
      );
      const { items, NextToken } = page(found, input);
      return { Snapshots: items.map(view), NextToken };
    },
  };
}

function infoView(snapshot: SnapshotRecord): SnapshotInfo {
  return {
    SnapshotId: snapshot.id,
    VolumeId: snapshot.volumeId,
    VolumeSize: snapshot.sizeGiB,
    State: snapshot.state,
    StartTime: new Date(snapshot.startedAt),
    Progress: progress(snapshot),
    OwnerId: ACCOUNT_ID,
    Encrypted: snapshot.encrypted,
    Description: snapshot.description,
    Tags: tagList(snapshot.tags),
  };
}
