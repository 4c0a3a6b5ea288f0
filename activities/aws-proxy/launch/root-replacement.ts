import {
  CreateReplaceRootVolumeTaskCommand,
  type EC2Client,
  type Instance,
  ModifyInstanceAttributeCommand,
  type ReplaceRootVolumeTask,
} from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { clientToken } from '../account/client-token';
import { findRootReplacements, listVolumes } from '../account/lookup';
import { readTags, runValues, tagFilters, tagList } from '../account/tags';
import { attachmentOf, requestDeletion } from '../account/volumes';
import { waitFor, type WaitOptions } from '../account/waiting';
import { type LaunchActivities, type RecoveredVolume } from './contract';
import { ownInstance, removeSuperseded, requireOwnVolume } from './instance-volumes';

type ReplaceRootVolume = Parameters<LaunchActivities['replaceRootVolume']>[0];

/** Looks for which a replaced root may be there and hang on nothing before it is deleted here: EC2 is to do that. */
const DELETION_LOOKS = 4;
/**
 * What CreateReplaceRootVolumeTask may say while what it names is too new to be known, or to be in its state, everywhere. Which
 * codes it has AWS does not list; these are those of other calls for the same.
 */
const NOT_YET = [
  'InvalidVolume.NotFound',
  'InvalidInstanceID.NotFound',
  'IncorrectState',
  'IncorrectInstanceState',
];
/** Looks for which that is believed: a minute and a half at the usual pace. */
const NOT_YET_LOOKS = 40;
/** A request that EC2 will never carry out. */
const REFUSED = [
  'InvalidParameter',
  'InvalidParameterCombination',
  'InvalidParameterValue',
  'InvalidVolume.ZoneMismatch',
  'OperationNotPermitted',
  'Unsupported',
  'UnsupportedOperation',
];

/**
 * Puts the VM's boot volume, its only one, in the place of the running shell's root. EC2 exchanges the two and boots the
 * instance from the new one; what it bills stays as it is (docs/decisions/0030).
 * @throws ApplicationFailure WrongInstance or WrongVolume, non-retryable: not this VM's, or not of this run
 * @throws ApplicationFailure RootReplacementFailed, InstanceGone or VolumeFailed, non-retryable
 */
export async function replaceRootVolume(
  ec2: EC2Client,
  input: ReplaceRootVolume,
  options: WaitOptions = {},
): Promise<void> {
  const [boot, ...others] = input.volumes;
  if (boot?.boot !== true || others.length > 0)
    throw ApplicationFailure.nonRetryable(
      `${input.vm} has ${input.volumes.length} volumes; only a boot volume without others replaces a running root.`,
      'WrongVolume',
    );
  await requireOwnVolume(ec2, input, boot.volumeId, options);
  const { RootDeviceName: DeviceName } = await untilReplaced(ec2, input, boot, options);
  await untilShellRootGone(ec2, input, options);
  await removeSuperseded(ec2, input, options);
  // The last step: a try after one that failed does not ask for it a second time.
  await ec2.send(
    new ModifyInstanceAttributeCommand({
      InstanceId: input.instanceId,
      BlockDeviceMappings: [{ DeviceName, Ebs: { VolumeId: boot.volumeId, DeleteOnTermination: true } }],
    }),
  );
}

/** Goes by what is there: a task of an earlier try is found by its instance, and asked for again gives itself. */
async function untilReplaced(
  ec2: EC2Client,
  input: ReplaceRootVolume,
  boot: RecoveredVolume,
  options: WaitOptions,
): Promise<Instance> {
  let refusals = 0;
  return waitFor(
    `${boot.volumeId} to be the root of ${input.instanceId}`,
    async () => {
      const instance = await ownInstance(ec2, input);
      const root = instance.BlockDeviceMappings?.find(
        ({ DeviceName }) => DeviceName === instance.RootDeviceName,
      );
      const isRoot = root?.Ebs?.VolumeId === boot.volumeId;
      const tasks = (await findRootReplacements(ec2, input.instanceId)).filter(isOurs(input));
      if (isRoot && (tasks.length === 0 || tasks.some(({ TaskState }) => TaskState === 'succeeded')))
        return instance;
      for (const task of tasks) refuseFailed(input, task);
      if (tasks.length > 0 || isRoot) return undefined;
      if (instance.State?.Name === 'stopped')
        throw failed(input, 'the instance has stopped before its root could be replaced');
      try {
        await requestReplacement(ec2, input, boot);
      } catch (error) {
        if (hasCode(error, ...REFUSED)) throw failed(input, (error as Error).message);
        if (!hasCode(error, ...NOT_YET)) throw error;
        refusals += 1;
        if (refusals === NOT_YET_LOOKS) throw failed(input, (error as Error).message);
      }
      return undefined;
    },
    options,
  );
}

async function requestReplacement(
  ec2: EC2Client,
  { run, vm, instanceId }: ReplaceRootVolume,
  { volumeId }: RecoveredVolume,
): Promise<void> {
  const call = 'CreateReplaceRootVolumeTask';
  await ec2.send(
    new CreateReplaceRootVolumeTaskCommand({
      ClientToken: clientToken({ runId: run.runId, vm, disk: `${volumeId} at ${instanceId}`, call }),
      InstanceId: instanceId,
      VolumeId: volumeId,
      DeleteReplacedRootVolume: true,
      TagSpecifications: [
        { ResourceType: 'replace-root-volume-task', Tags: tagList({ ...runValues(run), vm }) },
      ],
    }),
  );
}

const isOurs =
  ({ run, vm }: ReplaceRootVolume) =>
  ({ Tags }: ReplaceRootVolumeTask): boolean => {
    const tags = readTags(Tags, ['plan', 'run', 'vm']);
    return tags?.plan === run.plan && tags.run === run.runId && tags.vm === vm;
  };

function refuseFailed(
  input: ReplaceRootVolume,
  { ReplaceRootVolumeTaskId: id, TaskState }: ReplaceRootVolumeTask,
) {
  // Of the two words for a detached root, the SDK's enumeration has one; its text has both.
  if (TaskState === 'failed')
    throw failed(input, `its task ${id} failed, and the image's own root is there still`);
  if (TaskState === 'failed-detached') throw failed(input, `its task ${id} failed, and it has no root now`);
}

function failed({ vm, instanceId }: ReplaceRootVolume, why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The root volume of ${instanceId} of ${vm} could not be replaced: ${why.replace(/[\s.]+$/, '')}. ` +
      'A retry of the VM stops the instance and changes its volumes then.',
    'RootReplacementFailed',
  );
}

/** EC2 deletes the root that it has replaced, as it was asked to; where it does not, this does. */
async function untilShellRootGone(
  ec2: EC2Client,
  { run, vm }: ReplaceRootVolume,
  options: WaitOptions,
): Promise<void> {
  let looks = 0;
  await waitFor(
    `the replaced root of ${vm} to be deleted`,
    async () => {
      const left = (await listVolumes(ec2, tagFilters({ ...runValues(run), vm, role: 'shell' }))).filter(
        (volume) => attachmentOf(volume) === undefined && volume.State !== 'deleting',
      );
      if (left.length === 0) return true;
      looks += 1;
      if (looks >= DELETION_LOOKS)
        for (const { VolumeId = '', State } of left)
          if (State === 'available' || State === 'error') await requestDeletion(ec2, VolumeId);
      return undefined;
    },
    options,
  );
}
