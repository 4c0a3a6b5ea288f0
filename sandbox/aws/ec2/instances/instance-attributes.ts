import {
  type DescribeInstanceAttributeRequest,
  type InstanceAttribute,
  type ModifyInstanceAttributeRequest,
} from '@aws-sdk/client-ec2';
import { type Account } from '../../account';
import { type InstanceRecord } from '../../state/records';
import { AwsError } from '../../wire/errors';
import { attachedVolumes } from './instance-states';
import { findInstanceType } from './instance-types';
import { blockDeviceViews, groupViews } from './instance-view';
import { checkDryRun, findInstance } from '../lookup';
import { checkUserData } from './user-data';

/** What ModifyInstanceAttribute can change here; anything else is refused, not ignored. */
const MODIFIABLE = [
  'InstanceId',
  'DryRun',
  'Attribute',
  'Value',
  'BlockDeviceMappings',
  'InstanceType',
  'DisableApiTermination',
  'InstanceInitiatedShutdownBehavior',
  'SourceDestCheck',
  'UserData',
];

export function instanceAttributeHandlers(account: Account) {
  return {
    DescribeInstanceAttribute(input: DescribeInstanceAttributeRequest): InstanceAttribute {
      const instance = findInstance(account, input.InstanceId);
      const InstanceId = instance.id;
      switch (input.Attribute) {
        case 'blockDeviceMapping':
          return { InstanceId, BlockDeviceMappings: blockDeviceViews(account, instance) };
        case 'instanceType':
          return { InstanceId, InstanceType: { Value: instance.instanceType } };
        case 'disableApiTermination':
          return { InstanceId, DisableApiTermination: { Value: instance.disableApiTermination } };
        case 'instanceInitiatedShutdownBehavior':
          return { InstanceId, InstanceInitiatedShutdownBehavior: { Value: instance.shutdownBehavior } };
        case 'sourceDestCheck':
          return { InstanceId, SourceDestCheck: { Value: instance.sourceDestCheck } };
        case 'rootDeviceName':
          return { InstanceId, RootDeviceName: { Value: instance.rootDeviceName } };
        case 'userData':
          return { InstanceId, UserData: { Value: instance.userData } };
        case 'groupSet':
          return { InstanceId, Groups: groupViews(account, instance) };
        case 'ebsOptimized':
          return { InstanceId, EbsOptimized: { Value: false } };
        case 'enaSupport':
          return { InstanceId, EnaSupport: { Value: true } };
        default:
          throw new AwsError(
            'InvalidParameterValue',
            `The attribute '${input.Attribute}' is not offered here.`,
          );
      }
    },

    ModifyInstanceAttribute(input: ModifyInstanceAttributeRequest): void {
      for (const name of Object.keys(input))
        if (!MODIFIABLE.includes(name))
          throw new AwsError('UnsupportedOperation', `This sandbox cannot modify ${name} of an instance.`);
      const instance = findInstance(account, input.InstanceId);
      if (instance.state === 'terminated' || instance.state === 'shutting-down')
        throw new AwsError('IncorrectInstanceState', `The instance '${instance.id}' is '${instance.state}'.`);
      const mappings = (input.BlockDeviceMappings ?? []).map((mapping) => {
        const volume = attachedVolumes(account, instance.id).find(
          ({ attachment }) => attachment?.device === mapping.DeviceName,
        );
        if (
          volume === undefined ||
          (mapping.Ebs?.VolumeId !== undefined && mapping.Ebs.VolumeId !== volume.id)
        )
          throw new AwsError(
            'InvalidInstanceAttributeValue',
            `No device is currently mapped at ${mapping.DeviceName}`,
          );
        return { volumeId: volume.id, deleteOnTermination: mapping.Ebs?.DeleteOnTermination };
      });
      const changes = instanceChanges(instance, input);
      checkDryRun(input);
      for (const { volumeId, deleteOnTermination } of mappings) {
        const volume = account.volumes.get(volumeId);
        if (volume?.attachment !== undefined && deleteOnTermination !== undefined)
          account.volumes.put({ ...volume, attachment: { ...volume.attachment, deleteOnTermination } });
      }
      account.instances.update(instance.id, changes);
    },
  };
}

function instanceChanges(
  instance: InstanceRecord,
  input: ModifyInstanceAttributeRequest,
): Partial<InstanceRecord> {
  const changes: Partial<InstanceRecord> = {};
  const named = (attribute: string): string | undefined =>
    input.Attribute === attribute ? input.Value : undefined;
  const whenStopped = (what: string): void => {
    if (instance.state !== 'stopped')
      throw new AwsError(
        'IncorrectInstanceState',
        `The instance '${instance.id}' is not in the 'stopped' state; ${what} cannot be changed.`,
      );
  };
  const type = input.InstanceType?.Value ?? named('instanceType');
  if (type !== undefined) {
    whenStopped('its type');
    changes.instanceType = findInstanceType(type).name;
  }
  if (input.UserData !== undefined) {
    whenStopped('its user data');
    changes.userData = checkUserData(Buffer.from(input.UserData.Value ?? []).toString('base64'));
  }
  const protection = input.DisableApiTermination?.Value ?? named('disableApiTermination');
  if (protection !== undefined) changes.disableApiTermination = String(protection) === 'true';
  if (input.SourceDestCheck?.Value !== undefined) changes.sourceDestCheck = input.SourceDestCheck.Value;
  const behavior =
    input.InstanceInitiatedShutdownBehavior?.Value ?? named('instanceInitiatedShutdownBehavior');
  if (behavior !== undefined) {
    if (behavior !== 'stop' && behavior !== 'terminate')
      throw new AwsError(
        'InvalidParameterValue',
        `Value (${behavior}) for parameter instanceInitiatedShutdownBehavior is invalid.`,
      );
    changes.shutdownBehavior = behavior;
  }
  const known = ['instanceType', 'disableApiTermination', 'instanceInitiatedShutdownBehavior', undefined];
  if (!known.includes(input.Attribute))
    throw new AwsError(
      'UnsupportedOperation',
      `This sandbox cannot modify the attribute ${input.Attribute} by name.`,
    );
  return changes;
}
