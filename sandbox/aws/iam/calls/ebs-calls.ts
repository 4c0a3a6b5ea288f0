import type * as ebs from '@aws-sdk/client-ebs';
import { type Account } from '../../account';
import { ec2Arn, ofRegion } from './ec2-resources';
import { decryptingBy, encryptingBy } from './key-use';
import { type Asked, type CallMapping } from './mapping';
import { requestTagKeys, resourceTagKeys } from './tag-keys';

/** EBS direct. */
export const ebsCalls: CallMapping = {
  StartSnapshot(input: ebs.StartSnapshotRequest, { account }) {
    const { ParentSnapshotId, Tags, VolumeSize, Description } = input;
    const parent = ParentSnapshotId === undefined ? undefined : account.snapshots.get(ParentSnapshotId);
    const tags = requestTagKeys(Tags);
    const resource = ec2Arn(account, 'snapshot', '*');
    return [
      {
        action: 'ebs:StartSnapshot',
        resource,
        context: {
          ...tags,
          ...(VolumeSize === undefined ? {} : { 'ebs:VolumeSize': String(VolumeSize) }),
          ...(Description === undefined ? {} : { 'ebs:Description': Description }),
          ...(ParentSnapshotId === undefined
            ? {}
            : { 'ebs:ParentSnapshot': ec2Arn(account, 'snapshot', ParentSnapshotId) }),
        },
      },
      // Not in the reference's list, but every other call that tags what it makes asks for it.
      ...((Tags ?? []).length === 0
        ? []
        : [
            {
              action: 'ec2:CreateTags',
              resource,
              context: { ...ofRegion(account), ...tags, 'ec2:CreateAction': 'StartSnapshot' },
            },
          ]),
      ...encryptingBy(account, input.KmsKeyArn ?? parent?.kmsKeyId),
    ];
  },
  PutSnapshotBlock: ({ SnapshotId }: ebs.PutSnapshotBlockRequest, { account }) => [
    onSnapshot(account, 'ebs:PutSnapshotBlock', SnapshotId),
  ],
  CompleteSnapshot: ({ SnapshotId }: ebs.CompleteSnapshotRequest, { account }) => [
    onSnapshot(account, 'ebs:CompleteSnapshot', SnapshotId),
  ],
  GetSnapshotBlock: ({ SnapshotId }: ebs.GetSnapshotBlockRequest, { account }) => [
    onSnapshot(account, 'ebs:GetSnapshotBlock', SnapshotId),
    ...decryptingBy(account, account.snapshots.get(SnapshotId ?? '')?.kmsKeyId),
  ],
  ListSnapshotBlocks: ({ SnapshotId }: ebs.ListSnapshotBlocksRequest, { account }) => [
    onSnapshot(account, 'ebs:ListSnapshotBlocks', SnapshotId),
  ],
  ListChangedBlocks: ({ FirstSnapshotId, SecondSnapshotId }: ebs.ListChangedBlocksRequest, { account }) =>
    [FirstSnapshotId, SecondSnapshotId]
      .filter((id) => id !== undefined)
      .map((id) => onSnapshot(account, 'ebs:ListChangedBlocks', id)),
};

function onSnapshot(account: Account, action: string, id = ''): Asked {
  const snapshot = account.snapshots.get(id);
  const asked = { action, resource: ec2Arn(account, 'snapshot', id) };
  return snapshot === undefined || snapshot.deletedAt !== undefined
    ? { ...asked, context: {}, absent: true }
    : { ...asked, context: resourceTagKeys(snapshot.tags, ['aws:ResourceTag']) };
}
