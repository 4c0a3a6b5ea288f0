import {
  type AttachVolumeRequest,
  type CreateVolumeRequest,
  type DeleteVolumeRequest,
  type DescribeVolumesRequest,
  type DescribeVolumesResult,
  type DetachVolumeRequest,
  type Volume,
  type VolumeAttachment,
  type VolumeType,
} from '@aws-sdk/client-ec2';
import { type Account, now } from '../account';
import { newId } from '../state/ids';
import { type VolumeRecord } from '../state/records';
import { madeBefore, tokenMark } from '../state/tokens';
import { AwsError } from '../wire/errors';
import { encryptionOf } from './encryption';
import { filterItems } from './filters';
import { checkDryRun, findInstance, findSnapshot, findVolume, select } from './lookup';
import { page } from './paging';
import { checkZone } from './places';
import { specifiedTags, tagList } from './tags';
import { beginAttach, beginDetach, createVolumeFile, removeVolume } from './volume-states';
import { volumeShape } from './volume-types';

export function attachmentView(volume: VolumeRecord): VolumeAttachment | undefined {
  const { attachment } = volume;
  return (
    attachment && {
      VolumeId: volume.id,
      InstanceId: attachment.instanceId,
      Device: attachment.device,
      State: attachment.state,
      AttachTime: new Date(attachment.attachedAt),
      DeleteOnTermination: attachment.deleteOnTermination,
    }
  );
}

function view(volume: VolumeRecord): Volume {
  const attachment = attachmentView(volume);
  return {
    VolumeId: volume.id,
    State: volume.state,
    Size: volume.sizeGiB,
    SnapshotId: volume.snapshotId ?? '',
    AvailabilityZone: volume.availabilityZone,
    CreateTime: new Date(volume.createdAt),
    VolumeType: volume.volumeType as VolumeType,
    Iops: volume.iops,
    Throughput: volume.throughput,
    VolumeInitializationRate: volume.volumeInitializationRate,
    Encrypted: volume.encrypted,
    KmsKeyId: volume.kmsKeyId,
    MultiAttachEnabled: false,
    Attachments: attachment === undefined ? [] : [attachment],
    Tags: tagList(volume.tags),
  };
}

export function volumeHandlers(account: Account) {
  return {
    CreateVolume(input: CreateVolumeRequest): Volume {
      const mark = tokenMark('CreateVolume', input.ClientToken, input);
      const [before] = madeBefore(account.volumes, mark);
      if (before !== undefined) return view(before);

      const availabilityZone = checkZone(account, input.AvailabilityZone);
      const snapshot = input.SnapshotId === undefined ? undefined : findSnapshot(account, input.SnapshotId);
      if (snapshot !== undefined && snapshot.state !== 'completed')
        throw new AwsError('IncorrectState', `Snapshot is in invalid state - ${snapshot.state}`);
      const shape = volumeShape(
        {
          volumeType: input.VolumeType,
          sizeGiB: input.Size,
          iops: input.Iops,
          throughput: input.Throughput,
          volumeInitializationRate: input.VolumeInitializationRate,
        },
        snapshot?.sizeGiB,
      );
      const kmsKeyId = input.KmsKeyId ?? snapshot?.kmsKeyId;
      if (input.KmsKeyId !== undefined && input.Encrypted === false)
        throw new AwsError(
          'InvalidParameterDependency',
          'The parameter KmsKeyId requires the parameter Encrypted to be set.',
        );
      const tags = specifiedTags(input.TagSpecifications, 'volume');
      checkDryRun(input);

      const id = newId('vol');
      const volume = account.volumes.put({
        id,
        tags,
        createdAt: now(),
        tokenMark: mark,
        state: 'creating',
        ...shape,
        availabilityZone,
        snapshotId: snapshot?.id,
        ...encryptionOf(account, {
          encrypted: snapshot?.encrypted || input.Encrypted || input.KmsKeyId !== undefined,
          kmsKeyId,
        }),
        baseMap: snapshot?.map,
        lineage: snapshot?.lineage ?? id,
      });
      createVolumeFile(account, id);
      return view(volume);
    },

    DeleteVolume(input: DeleteVolumeRequest): void {
      const volume = findVolume(account, input.VolumeId);
      if (volume.attachment !== undefined)
        throw new AwsError(
          'VolumeInUse',
          `Volume ${volume.id} is currently attached to ${volume.attachment.instanceId}`,
        );
      if (volume.state !== 'available' && volume.state !== 'error')
        throw new AwsError('IncorrectState', `The volume '${volume.id}' is '${volume.state}'.`);
      checkDryRun(input);
      removeVolume(account, volume.id);
    },

    AttachVolume(input: AttachVolumeRequest): VolumeAttachment {
      const volume = findVolume(account, input.VolumeId);
      const instance = findInstance(account, input.InstanceId);
      const device = input.Device ?? '';
      if (!/^(\/dev\/)?(sd[a-z]{1,2}\d{0,2}|xvd[a-z]{1,2}|hd[a-z])$/.test(device))
        throw new AwsError(
          'InvalidParameterValue',
          `Value (${device}) for parameter device is invalid. ${device} is not a valid EBS device name.`,
        );
      if (volume.attachment !== undefined)
        throw new AwsError('VolumeInUse', `${volume.id} is already attached to an instance`);
      if (volume.state !== 'available')
        throw new AwsError('IncorrectState', `${volume.id} is not 'available'.`);
      if (instance.state !== 'running' && instance.state !== 'stopped')
        throw new AwsError('IncorrectState', `Instance '${instance.id}' is not 'running'.`);
      const zone = account.config.fixtures.subnets.find(
        ({ id }) => id === instance.subnetId,
      )?.availabilityZone;
      if (zone !== volume.availabilityZone)
        throw new AwsError(
          'InvalidVolume.ZoneMismatch',
          `The volume '${volume.id}' is not in the same availability zone as instance '${instance.id}'`,
        );
      if (
        account.volumes
          .all()
          .some(({ attachment: a }) => a?.instanceId === instance.id && a.device === device)
      )
        throw new AwsError(
          'InvalidParameterValue',
          `Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`,
        );
      if (instance.state === 'running' && !instance.host && !account.runner.hotPlug)
        throw new AwsError(
          'UnsupportedOperation',
          'This sandbox attaches volumes to stopped instances only.',
        );
      checkDryRun(input);
      return { ...attachmentView(beginAttach(account, volume, instance, device)) };
    },

    DetachVolume(input: DetachVolumeRequest): VolumeAttachment {
      const volume = findVolume(account, input.VolumeId);
      const { attachment } = volume;
      if (attachment === undefined || attachment.state === 'detaching')
        throw new AwsError('IncorrectState', `Volume '${volume.id}' is in the '${volume.state}' state.`);
      if (
        input.InstanceId !== undefined &&
        findInstance(account, input.InstanceId).id !== attachment.instanceId
      )
        throw new AwsError(
          'InvalidAttachment.NotFound',
          `Volume '${volume.id}' is not attached to instance '${input.InstanceId}'.`,
        );
      if (input.Device !== undefined && input.Device !== attachment.device)
        throw new AwsError(
          'InvalidAttachment.NotFound',
          `Volume '${volume.id}' is not attached as '${input.Device}'.`,
        );
      const instance = findInstance(account, attachment.instanceId);
      if (instance.state !== 'stopped' && attachment.device === instance.rootDeviceName)
        throw new AwsError(
          'OperationNotPermitted',
          `Unable to detach root volume '${volume.id}' from instance '${instance.id}'`,
        );
      if (instance.state !== 'running' && instance.state !== 'stopped')
        throw new AwsError('IncorrectState', `Instance '${instance.id}' is '${instance.state}'.`);
      if (instance.state === 'running' && !instance.host && !account.runner.hotPlug)
        throw new AwsError(
          'UnsupportedOperation',
          'This sandbox detaches volumes from stopped instances only.',
        );
      checkDryRun(input);
      return { ...attachmentView(beginDetach(account, volume)) };
    },

    DescribeVolumes(input: DescribeVolumesRequest): DescribeVolumesResult {
      const volumes = select(account.volumes, input.VolumeIds, (id) => findVolume(account, id));
      const attached =
        (field: (a: NonNullable<VolumeRecord['attachment']>) => string | boolean | Date) =>
        (volume: VolumeRecord) => (volume.attachment === undefined ? [] : [field(volume.attachment)]);
      const found = filterItems(
        volumes,
        input.Filters,
        {
          'volume-id': ({ id }) => [id],
          status: ({ state }) => [state],
          size: ({ sizeGiB }) => [sizeGiB],
          'snapshot-id': ({ snapshotId }) => [snapshotId],
          'availability-zone': ({ availabilityZone }) => [availabilityZone],
          'volume-type': ({ volumeType }) => [volumeType],
          encrypted: ({ encrypted }) => [encrypted],
          'create-time': ({ createdAt }) => [createdAt],
          'attachment.instance-id': attached((a) => a.instanceId),
          'attachment.device': attached((a) => a.device),
          'attachment.status': attached((a) => a.state),
          'attachment.delete-on-termination': attached((a) => a.deleteOnTermination),
          'attachment.attach-time': attached((a) => a.attachedAt),
        },
        ({ tags }) => tags,
      );
      const { items, NextToken } = page(found, input);
      return { Volumes: items.map(view), NextToken };
    },
  };
}
