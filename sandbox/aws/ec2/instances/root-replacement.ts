import {
  type CreateReplaceRootVolumeTaskRequest,
  type CreateReplaceRootVolumeTaskResult,
  type DescribeReplaceRootVolumeTasksRequest,
  type DescribeReplaceRootVolumeTasksResult,
  type ReplaceRootVolumeTask,
} from '@aws-sdk/client-ec2';
import { type Account, now } from '../../account';
import { newId } from '../../state/ids';
import { type InstanceRecord, type RootReplacementRecord, type VolumeRecord } from '../../state/records';
import { madeBefore, tokenMark } from '../../state/tokens';
import { AwsError } from '../../wire/errors';
import { filterItems } from '../filters';
import { placeOf } from './instance-view';
import { checkDryRun, findInstance, findRootReplacement, findVolume, select } from '../lookup';
import { page } from '../paging';
import { continueRootReplacement, isUnderWay, rootOf } from './root-replacement-states';
import { specifiedTags, tagList } from '../tags';

/** What CreateReplaceRootVolumeTask heeds here. Anything else is refused: the root would be another one. */
const HEEDED = new Set([
  'ClientToken',
  'DeleteReplacedRootVolume',
  'DryRun',
  'InstanceId',
  'TagSpecifications',
  'VolumeId',
]);

/** EC2's service model, DescribeReplaceRootVolumeTasksMaxResults. */
const MOST_RESULTS = 50;

function view(task: RootReplacementRecord): ReplaceRootVolumeTask {
  return {
    ReplaceRootVolumeTaskId: task.id,
    InstanceId: task.instanceId,
    TaskState: task.state,
    StartTime: task.startedAt,
    CompleteTime: task.completedAt,
    DeleteReplacedRootVolume: task.deleteReplaced,
    Tags: tagList(task.tags),
  };
}

/**
 * Root volumes of running instances replaced by a volume that is there. AWS's conditions are those of the parameters in its
 * API reference; which error code each has, it does not say: they are the ones that AttachVolume has for the same.
 */
export function rootReplacementHandlers(account: Account) {
  return {
    CreateReplaceRootVolumeTask(
      input: CreateReplaceRootVolumeTaskRequest,
    ): CreateReplaceRootVolumeTaskResult {
      const mark = tokenMark('CreateReplaceRootVolumeTask', input.ClientToken, input);
      const [before] = madeBefore(account.rootReplacements, mark);
      if (before !== undefined) return { ReplaceRootVolumeTask: view(before) };

      for (const name of Object.keys(input))
        if (!HEEDED.has(name))
          throw new AwsError(
            'UnsupportedOperation',
            `This sandbox replaces a root by a volume only, and does not heed ${name}.`,
          );
      if (input.VolumeId === undefined)
        throw new AwsError(
          'UnsupportedOperation',
          'This sandbox does not restore a root to its launch state; say which volume replaces it.',
        );
      const instance = findInstance(account, input.InstanceId);
      const volume = findVolume(account, input.VolumeId);
      checkReplacement(account, instance, volume);
      const tags = specifiedTags(input.TagSpecifications, 'replace-root-volume-task');
      checkDryRun(input);

      const startedAt = now();
      const task = account.rootReplacements.put({
        id: newId('replacevol'),
        tags,
        createdAt: startedAt,
        tokenMark: mark,
        instanceId: instance.id,
        volumeId: volume.id,
        deleteReplaced: input.DeleteReplacedRootVolume ?? false,
        state: 'pending',
        startedAt,
      });
      continueRootReplacement(account, task.id);
      return { ReplaceRootVolumeTask: view(task) };
    },

    DescribeReplaceRootVolumeTasks(
      input: DescribeReplaceRootVolumeTasksRequest,
    ): DescribeReplaceRootVolumeTasksResult {
      const tasks = select(account.rootReplacements, input.ReplaceRootVolumeTaskIds, (id) =>
        findRootReplacement(account, id),
      );
      // The one filter that AWS has; not even tags are among them.
      const found = filterItems(tasks, input.Filters, { 'instance-id': ({ instanceId }) => [instanceId] });
      if ((input.MaxResults ?? 0) > MOST_RESULTS)
        throw new AwsError(
          'InvalidParameterValue',
          `Value ( ${input.MaxResults} ) for parameter maxResults is invalid. Expecting at most ${MOST_RESULTS}.`,
        );
      const { items, NextToken } = page(found, input, 1);
      return { ReplaceRootVolumeTasks: items.map(view), NextToken };
    },
  };
}

function checkReplacement(account: Account, instance: InstanceRecord, volume: VolumeRecord): void {
  if (instance.host)
    throw new AwsError(
      'UnsupportedOperation',
      `The instance '${instance.id}' is this host; it keeps its root.`,
    );
  if (instance.state !== 'running')
    throw new AwsError('IncorrectInstanceState', `Instance '${instance.id}' is not 'running'.`);
  if (account.rootReplacements.all().some((task) => task.instanceId === instance.id && isUnderWay(task)))
    throw new AwsError('IncorrectState', `The root volume of '${instance.id}' is being replaced already.`);
  if (volume.attachment !== undefined)
    throw new AwsError('VolumeInUse', `${volume.id} is already attached to an instance`);
  if (volume.state !== 'available') throw new AwsError('IncorrectState', `${volume.id} is not 'available'.`);
  if (volume.availabilityZone !== placeOf(account, instance).availabilityZone)
    throw new AwsError(
      'InvalidVolume.ZoneMismatch',
      `The volume '${volume.id}' is not in the same availability zone as instance '${instance.id}'`,
    );
  if (rootOf(account, instance)?.encrypted === true && !volume.encrypted)
    throw new AwsError(
      'InvalidParameterValue',
      `The root volume of '${instance.id}' is encrypted; '${volume.id}' is not.`,
    );
}
