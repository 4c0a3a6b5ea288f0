import { CreateTagsCommand, type EC2Client, type Volume } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkGeneration } from '../../../repository/plans/plan-state';
import { type AwayCopy, replaces, wholeAwayCopies } from '../account/away-copy';
import { snapshotVolumesOnce } from '../account/instance-snapshots';
import { listVolumes } from '../account/lookup';
import { deleteUnusedSnapshots, findSnapshots } from '../account/snapshots';
import {
  diskOf,
  diskValues,
  readAwaySnapshot,
  readRecoveredVolume,
  runValues,
  tagList,
} from '../account/tags';
import { type WaitOptions } from '../account/waiting';
import { type AwayActivities, type AwayCopyResult } from './contract';

type MakeAwayCopy = Parameters<AwayActivities['makeAwayCopy']>[0];

/**
 * An instance's volumes at one instant, as they are after a power cut, in the place of the copies of before.
 * @param isRetry whether an earlier try may have made snapshots that cannot be seen yet
 */
export async function makeAwayCopy(
  ec2: EC2Client,
  store: ObjectStore,
  input: MakeAwayCopy,
  isRetry: boolean,
  options: WaitOptions = {},
): Promise<AwayCopyResult> {
  // A failback, or an undo, may have begun since: what it leaves behind is nobody's any more.
  await checkGeneration(store, input.run);
  const volumes = await volumesOf(ec2, input);
  const copy = (await madeSince(ec2, input)) ?? (await make(ec2, input, volumes, isRetry, options));
  await writeDownDisks(ec2, copy, volumes);
  await deleteReplaced(ec2, input, copy);
  const { vm, takenAt, snapshots } = copy;
  return { vm, takenAt, snapshotIds: snapshots.map(({ snapshotId }) => snapshotId) };
}

/** All of them, also what somebody has attached meanwhile: the application may have its data there. */
async function volumesOf(ec2: EC2Client, { vm, instanceId }: MakeAwayCopy): Promise<Volume[]> {
  const listed = await listVolumes(ec2, [{ Name: 'attachment.instance-id', Values: [instanceId] }]);
  const isAttached = ({ Attachments }: Volume) =>
    Attachments?.some((one) => one.InstanceId === instanceId && one.State === 'attached');
  const volumes = listed.filter(isAttached);
  if (volumes.length === 0)
    throw ApplicationFailure.retryable(
      `EC2 lists no volume of ${vm}'s instance ${instanceId}; has it been terminated?`,
      'NotYetVisible',
    );
  return volumes;
}

const awayCopies = (ec2: EC2Client, { run, vm }: MakeAwayCopy) =>
  findSnapshots(ec2, { plan: run.plan, vm, role: 'away-copy' });

/** A whole copy of the instance that is as new as it was asked for, of whatever run. */
async function madeSince(ec2: EC2Client, input: MakeAwayCopy): Promise<AwayCopy | undefined> {
  return wholeAwayCopies(await awayCopies(ec2, input))
    .filter(
      ({ vm, instanceId, runId, takenAt }) =>
        vm === input.vm &&
        instanceId === input.instanceId &&
        (runId === input.run.runId || Date.parse(takenAt) >= Date.parse(input.since)),
    )
    .sort((a, b) => (replaces(a, b) ? -1 : 1))[0];
}

async function make(
  ec2: EC2Client,
  { run, vm, instanceId }: MakeAwayCopy,
  volumes: Volume[],
  isRetry: boolean,
  options: WaitOptions,
): Promise<AwayCopy> {
  const call = {
    vm,
    instanceId,
    tags: { ...runValues(run), vm, role: 'away-copy', instance: instanceId } as const,
    // Before the call: all that was written by then is in it.
    moreTags: { takenAt: new Date().toISOString(), diskCount: volumes.length },
    name: `${vm} while it is away (${run.plan})`,
    description: `Lifeboat: ${vm} of the plan ${run.plan}, while it runs at the recovery site`,
  };
  const ids = new Set(volumes.flatMap(({ VolumeId }) => VolumeId ?? []));
  const { snapshots } = await snapshotVolumesOnce(ec2, call, ids, isRetry, options);
  const [copy] = wholeAwayCopies(snapshots);
  if (copy === undefined)
    throw ApplicationFailure.retryable(
      `EC2 does not list the tags of the snapshots of ${vm}'s instance ${instanceId} yet.`,
      'NotYetVisible',
    );
  return copy;
}

/** Which disk each snapshot is of: when the instance and its volumes are gone, nothing else tells. */
async function writeDownDisks(ec2: EC2Client, copy: AwayCopy, volumes: Volume[]): Promise<void> {
  for (const { snapshotId, volumeId, disk } of copy.snapshots) {
    const tags = readRecoveredVolume(volumes.find(({ VolumeId }) => VolumeId === volumeId)?.Tags);
    if (disk !== undefined || tags === undefined) continue;
    await ec2.send(
      new CreateTagsCommand({ Resources: [snapshotId], Tags: tagList(diskValues(diskOf(tags))) }),
    );
  }
}

/** Those that are older, whole or not, of whatever run; never one that is newer, which a run after this one makes. */
async function deleteReplaced(ec2: EC2Client, input: MakeAwayCopy, copy: AwayCopy): Promise<void> {
  const replaced = (await awayCopies(ec2, input)).filter(({ Tags }) => {
    const tags = readAwaySnapshot(Tags);
    return tags !== undefined && tags.vm === input.vm && replaces(copy, tags);
  });
  // One that somebody has made an image of stays; a sweep takes it when the image is gone.
  await deleteUnusedSnapshots(
    ec2,
    replaced.map(({ SnapshotId }) => SnapshotId),
  );
}
