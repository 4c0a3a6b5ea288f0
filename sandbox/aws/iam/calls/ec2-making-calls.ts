import type * as ec2 from '@aws-sdk/client-ec2';
import { ACCOUNT_ID } from '../../account';
import { instanceProfileArn } from '../../ec2/instances/instance-profiles';
import { encryptingBy } from './key-use';
import { type AccountView, type Asked, type CallMapping } from './mapping';
import { ec2Arn, onExisting, onNew, taggingNew } from './ec2-resources';

/** The calls of EC2 that make something: each asks for what it makes, what that is made of, and the tags that it gives. */
export const ec2MakingCalls: CallMapping = {
  RunInstances: runInstances,

  CreateVolume(input: ec2.CreateVolumeRequest, { account }) {
    const action = 'ec2:CreateVolume';
    const { SnapshotId, TagSpecifications, AvailabilityZone } = input;
    const origin = SnapshotId === undefined ? undefined : account.snapshots.get(SnapshotId);
    const size = input.Size ?? origin?.sizeGiB;
    return [
      onNew(account, action, 'volume', TagSpecifications, {
        'ec2:VolumeType': input.VolumeType ?? 'gp3',
        'ec2:Encrypted': String(input.Encrypted === true || origin?.encrypted === true),
        ...(AvailabilityZone === undefined ? {} : { 'ec2:AvailabilityZone': AvailabilityZone }),
        ...(size === undefined ? {} : { 'ec2:VolumeSize': String(size) }),
        ...(SnapshotId === undefined
          ? {}
          : { 'ec2:ParentSnapshot': ec2Arn(account, 'snapshot', SnapshotId) }),
      }),
      ...(SnapshotId === undefined ? [] : [onExisting(account, action, SnapshotId)]),
      ...taggingNew(account, 'CreateVolume', TagSpecifications),
      ...encryptingBy(account, input.KmsKeyId ?? origin?.kmsKeyId),
    ];
  },
  CreateSnapshot({ VolumeId, TagSpecifications }: ec2.CreateSnapshotRequest, { account }) {
    return [
      onNew(account, 'ec2:CreateSnapshot', 'snapshot', TagSpecifications),
      onExisting(account, 'ec2:CreateSnapshot', VolumeId),
      ...taggingNew(account, 'CreateSnapshot', TagSpecifications),
    ];
  },
  CreateSnapshots(input: ec2.CreateSnapshotsRequest, { account }) {
    const { TagSpecifications, InstanceSpecification: { InstanceId } = {} } = input;
    const volumes = account.volumes
      .all()
      .filter(
        ({ attachment, deletedAt }) => deletedAt === undefined && attachment?.instanceId === InstanceId,
      );
    return [
      onNew(account, 'ec2:CreateSnapshots', 'snapshot', TagSpecifications),
      onExisting(account, 'ec2:CreateSnapshots', InstanceId),
      ...volumes.map(({ id }) => onExisting(account, 'ec2:CreateSnapshots', id)),
      ...taggingNew(account, 'CreateSnapshots', TagSpecifications),
    ];
  },
  RegisterImage({ BlockDeviceMappings = [], TagSpecifications }: ec2.RegisterImageRequest, { account }) {
    return [
      onNew(account, 'ec2:RegisterImage', 'image', TagSpecifications, { 'ec2:Owner': ACCOUNT_ID }),
      ...snapshotsOf(BlockDeviceMappings).map((id) => onExisting(account, 'ec2:RegisterImage', id)),
      ...taggingNew(account, 'RegisterImage', TagSpecifications),
    ];
  },
  CreateReplaceRootVolumeTask(input: ec2.CreateReplaceRootVolumeTaskRequest, { account }) {
    const action = 'ec2:CreateReplaceRootVolumeTask';
    const { InstanceId, VolumeId, SnapshotId, ImageId, TagSpecifications } = input;
    // VolumeId is younger than what the reference says of this call's volumes, which is about one that is made: no tags of one that is
    // there. It is taken for one here, as AttachVolume's is, since a volume of somebody else's must not do.
    const named = [InstanceId, VolumeId, SnapshotId, ImageId].filter((id) => id !== undefined);
    return [
      onNew(account, action, 'replace-root-volume-task', TagSpecifications),
      ...named.map((id) => onExisting(account, action, id)),
      ...taggingNew(account, 'CreateReplaceRootVolumeTask', TagSpecifications),
    ];
  },
};

function runInstances(input: ec2.RunInstancesRequest, { account }: AccountView): Asked[] {
  const action = 'ec2:RunInstances';
  const { TagSpecifications: tags, ImageId, InstanceType, BlockDeviceMappings = [] } = input;
  const cards = input.NetworkInterfaces ?? [];
  const subnets = distinct([input.SubnetId, ...cards.map(({ SubnetId }) => SubnetId)]);
  const groups = distinct([...(input.SecurityGroupIds ?? []), ...cards.flatMap(({ Groups = [] }) => Groups)]);
  const profile = input.IamInstanceProfile;
  const profileArn =
    profile?.Arn ?? (profile?.Name === undefined ? undefined : instanceProfileArn(profile.Name));
  const zone = account.config.fixtures.subnets.find(({ id }) => id === subnets[0])?.availabilityZone;
  const inZone: Asked['context'] = zone === undefined ? {} : { 'ec2:AvailabilityZone': zone };
  const image = account.images.get(ImageId ?? '');
  const snapshots = distinct([
    ...snapshotsOf(BlockDeviceMappings),
    ...(image?.blockDevices ?? []).map(({ snapshotId }) => snapshotId),
  ]);
  return [
    onExisting(account, action, ImageId),
    onNew(account, action, 'instance', tags, {
      ...inZone,
      'ec2:InstanceType': InstanceType ?? 'm5.large',
      'ec2:RootDeviceType': 'ebs',
      ...(profileArn === undefined ? {} : { 'ec2:InstanceProfile': profileArn }),
      ...(input.MetadataOptions?.HttpTokens === undefined
        ? {}
        : { 'ec2:MetadataHttpTokens': input.MetadataOptions.HttpTokens }),
    }),
    onNew(account, action, 'network-interface', tags, {
      ...inZone,
      ...(subnets[0] === undefined ? {} : { 'ec2:Subnet': ec2Arn(account, 'subnet', subnets[0]) }),
      ...publicAddress(cards),
    }),
    onNew(account, action, 'volume', tags, inZone),
    ...subnets.map((id) => onExisting(account, action, id)),
    ...groups.map((id) => onExisting(account, action, id)),
    // Those of the request; whether those of the image are asked about, too, the reference leaves open.
    ...distinct(snapshotsOf(BlockDeviceMappings)).map((id) => onExisting(account, action, id)),
    ...taggingNew(account, 'RunInstances', tags),
    ...(profileArn === undefined ? [] : [passingRole(profileArn)]),
    ...distinct(snapshots.map((id) => account.snapshots.get(id)?.kmsKeyId)).flatMap((key) =>
      encryptingBy(account, key),
    ),
  ];
}

/** The role of an instance profile is handed to EC2. Here, a profile and its role have one name. */
function passingRole(profileArn: string): Asked {
  return {
    action: 'iam:PassRole',
    resource: profileArn.replace(':instance-profile/', ':role/'),
    context: { 'iam:PassedToService': 'ec2.amazonaws.com' },
  };
}

function publicAddress(cards: ec2.InstanceNetworkInterfaceSpecification[]): Asked['context'] {
  const wanted = cards.find(({ AssociatePublicIpAddress }) => AssociatePublicIpAddress !== undefined);
  return wanted === undefined
    ? {}
    : { 'ec2:AssociatePublicIpAddress': String(wanted.AssociatePublicIpAddress) };
}

const snapshotsOf = (mappings: ec2.BlockDeviceMapping[]): string[] =>
  mappings.map(({ Ebs }) => Ebs?.SnapshotId).filter((id) => id !== undefined);

const distinct = (ids: (string | undefined)[]): string[] => [
  ...new Set(ids.filter((id) => id !== undefined)),
];
