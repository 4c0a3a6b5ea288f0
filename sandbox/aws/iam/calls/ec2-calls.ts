import type * as ec2 from '@aws-sdk/client-ec2';
import { type AccountView, type Asked, type CallMapping, onAll } from './mapping';
import { attachingBy } from './key-use';
import { ec2Arn, ofRegion, onExisting } from './ec2-resources';
import { ec2MakingCalls } from './ec2-making-calls';
import { requestTagKeys } from './tag-keys';

/** Calls that are about no resource: none of them can be narrowed. */
const LOOKS = [
  'DescribeAvailabilityZones',
  'DescribeImages',
  'DescribeInstances',
  'DescribeInstanceStatus',
  'DescribeInstanceTypeOfferings',
  'DescribeInstanceTypes',
  'DescribeLockedSnapshots',
  'DescribeNetworkInterfaces',
  'DescribeRegions',
  'DescribeReplaceRootVolumeTasks',
  'DescribeRouteTables',
  'DescribeSecurityGroups',
  'DescribeSnapshots',
  'DescribeSubnets',
  'DescribeTags',
  'DescribeVolumes',
  'DescribeVpcEndpoints',
  'DescribeVpcs',
  'GetEbsEncryptionByDefault',
  'ListSnapshotsInRecycleBin',
];

/** The calls that change or end what is there, or look into it. */
export const ec2Calls: CallMapping = {
  ...Object.fromEntries(LOOKS.map((name) => [name, look(name)])),
  ...ec2MakingCalls,

  AttachVolume({ VolumeId, InstanceId }: ec2.AttachVolumeRequest, { account }) {
    return [
      onExisting(account, 'ec2:AttachVolume', VolumeId),
      onExisting(account, 'ec2:AttachVolume', InstanceId),
      ...attachingBy(account, account.volumes.get(VolumeId ?? '')?.kmsKeyId),
    ];
  },
  DetachVolume({ VolumeId, InstanceId }: ec2.DetachVolumeRequest, { account }) {
    // The instance is asked about where it is not named, too: it is the one that loses the disk.
    const holder = InstanceId ?? account.volumes.get(VolumeId ?? '')?.attachment?.instanceId;
    return [
      onExisting(account, 'ec2:DetachVolume', VolumeId),
      ...(holder === undefined ? [] : [onExisting(account, 'ec2:DetachVolume', holder)]),
    ];
  },
  CreateTags({ Resources, Tags }: ec2.CreateTagsRequest, { account }) {
    return tagging(account, 'ec2:CreateTags', Resources, Tags);
  },
  DeleteTags({ Resources, Tags }: ec2.DeleteTagsRequest, { account }) {
    // The reference has tags only for it, and nothing of what the resource is.
    const keys = /^(aws:|ec2:(ResourceTag\/|Region$))/;
    return tagging(account, 'ec2:DeleteTags', Resources, Tags).map(({ context, ...asked }) => ({
      ...asked,
      context: Object.fromEntries(Object.entries(context).filter(([key]) => keys.test(key))),
    }));
  },
  LockSnapshot(input: ec2.LockSnapshotRequest, { account }) {
    const { LockDuration, CoolOffPeriod } = input;
    return [
      withKeys(onExisting(account, 'ec2:LockSnapshot', input.SnapshotId), {
        ...(LockDuration === undefined ? {} : { 'ec2:SnapshotLockDuration': String(LockDuration) }),
        ...(CoolOffPeriod === undefined ? {} : { 'ec2:SnapshotCoolOffPeriod': String(CoolOffPeriod) }),
      }),
    ];
  },
  UnlockSnapshot: one('UnlockSnapshot', ({ SnapshotId }: ec2.UnlockSnapshotRequest) => [SnapshotId]),
  DeleteSnapshot: one('DeleteSnapshot', ({ SnapshotId }: ec2.DeleteSnapshotRequest) => [SnapshotId]),
  DeleteVolume: one('DeleteVolume', ({ VolumeId }: ec2.DeleteVolumeRequest) => [VolumeId]),
  DeregisterImage: one('DeregisterImage', ({ ImageId }: ec2.DeregisterImageRequest) => [ImageId]),
  DescribeInstanceAttribute: one(
    'DescribeInstanceAttribute',
    ({ InstanceId }: ec2.DescribeInstanceAttributeRequest) => [InstanceId],
  ),
  GetConsoleOutput: one('GetConsoleOutput', ({ InstanceId }: ec2.GetConsoleOutputRequest) => [InstanceId]),
  GetConsoleScreenshot: one('GetConsoleScreenshot', ({ InstanceId }: ec2.GetConsoleScreenshotRequest) => [
    InstanceId,
  ]),
  ModifyInstanceAttribute: one(
    'ModifyInstanceAttribute',
    ({ InstanceId, Groups = [] }: ec2.ModifyInstanceAttributeRequest) => [InstanceId, ...Groups],
  ),
  StartInstances: one('StartInstances', ({ InstanceIds = [] }: ec2.StartInstancesRequest) => InstanceIds),
  StopInstances: one('StopInstances', ({ InstanceIds = [] }: ec2.StopInstancesRequest) => InstanceIds),
  TerminateInstances: one(
    'TerminateInstances',
    ({ InstanceIds = [] }: ec2.TerminateInstancesRequest) => InstanceIds,
  ),
};

/** A call that is about the resources that it names, and nothing else. */
function one<T>(operation: string, ids: (input: T) => (string | undefined)[]): CallMapping[string] {
  return (input: never, { account }: AccountView): Asked[] =>
    ids(input as T).map((id) => onExisting(account, `ec2:${operation}`, id));
}

function look(operation: string): CallMapping[string] {
  return (_input: never, { account }: AccountView) => [onAll(`ec2:${operation}`, ofRegion(account))];
}

function tagging(
  account: AccountView['account'],
  action: string,
  ids: string[] | undefined,
  tags: ec2.Tag[] | undefined,
): Asked[] {
  if (ids === undefined || ids.length === 0)
    return [{ action, resource: ec2Arn(account, 'instance', '*'), context: ofRegion(account) }];
  return ids.map((id) => withKeys(onExisting(account, action, id), requestTagKeys(tags)));
}

const withKeys = (asked: Asked, context: Asked['context']): Asked => ({
  ...asked,
  context: { ...asked.context, ...context },
});
