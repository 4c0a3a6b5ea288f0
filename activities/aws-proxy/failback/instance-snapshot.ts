import { randomUUID } from 'node:crypto';
import { CreateSnapshotsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { findInstance, listVolumes } from '../account/lookup';
import { deleteSnapshots, type DescribedSnapshot, findSnapshots } from '../account/snapshots';
import { FAILBACK_SNAPSHOT_FIELDS, readRecoveredVolume, readTags, runValues, tagList } from '../account/tags';
import { waitFor, type WaitOptions } from '../account/waiting';
import { type FailbackActivities } from './contract';

type SnapshotInstance = Parameters<FailbackActivities['snapshotInstance']>[0];

/** Looks that a retry takes before it believes that the try before it has made nothing. */
const LATE_LOOKS = 5;
/** Seconds between those looks; what was made is mostly seen at once, and within some seconds when it is not. */
const LATE_LOOK_SECONDS = 2;
/** Longest that snapshots may take to complete; the first ones of large volumes take hours. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;

/** What one CreateSnapshots call has made. */
interface SnapshotSet {
  id: string;
  snapshots: DescribedSnapshot[];
}

/**
 * CreateSnapshots of all of an instance's volumes at one instant, once: the call has no client token, so what the run
 * has made for this pass is looked for first. Of two sets that both came to be, the older one counts and the other goes.
 * @param isRetry whether an earlier try may have made snapshots that cannot be seen yet
 * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given a snapshot up
 */
export async function snapshotInstanceOnce(
  ec2: EC2Client,
  input: SnapshotInstance,
  isRetry: boolean,
  options: WaitOptions = {},
): Promise<{ diskKey: string; snapshotId: string }[]> {
  const disks = await disksByVolume(ec2, input);
  if (!(await alreadyMade(ec2, input, new Set(disks.keys()), isRetry, options))) await create(ec2, input);

  // From here on, what EC2 lists decides: two tries of one activity come to the same answer.
  const chosen = await waitFor(
    `the snapshots of ${input.vm} to be completed`,
    async () => {
      const sets = await findSets(ec2, input);
      const whole = wholeSets(sets, new Set(disks.keys()))[0];
      if (whole?.snapshots.every(({ State }) => State === 'completed')) return whole;
      const failed = sets.find(({ snapshots }) => snapshots.some(({ State }) => State === 'error'));
      if (whole === undefined && failed !== undefined) await discardFailed(ec2, failed);
      return undefined;
    },
    { ...options, limitSeconds: COMPLETION_LIMIT_SECONDS },
  );
  const doubles = (await findSets(ec2, input)).filter(({ id }) => id !== chosen.id);
  await deleteSnapshots(
    ec2,
    doubles.flatMap(({ snapshots }) => snapshots.map(({ SnapshotId }) => SnapshotId)),
  );
  return chosen.snapshots.map(({ SnapshotId, VolumeId }) => ({
    diskKey: disks.get(VolumeId ?? '') ?? '',
    snapshotId: SnapshotId,
  }));
}

/** Keys of the VM's disks by the ids of their volumes. */
async function disksByVolume(ec2: EC2Client, input: SnapshotInstance): Promise<Map<string, string>> {
  const { vm, instanceId, pass } = input;
  const state = (await findInstance(ec2, instanceId))?.State?.Name;
  // Writes after the second snapshot would be lost without a word.
  if (pass === 2 && state !== 'stopped')
    throw ApplicationFailure.retryable(
      `The instance ${instanceId} of ${vm} is ${state ?? 'not there'}; it has to be stopped.`,
      'WrongState',
    );
  const volumes = await listVolumes(ec2, [{ Name: 'attachment.instance-id', Values: [instanceId] }]);
  const disks = new Map<string, string>();
  for (const { VolumeId, Tags } of volumes) {
    const tags = readRecoveredVolume(Tags);
    if (tags?.vm !== vm || VolumeId === undefined)
      throw ApplicationFailure.nonRetryable(
        `The volume ${VolumeId} of ${vm}'s instance ${instanceId} is none of the VM's disks. Detach it.`,
        'NotReadyForFailback',
      );
    disks.set(VolumeId, tags.disk);
  }
  if (disks.size === 0 || new Set(disks.values()).size !== disks.size)
    throw ApplicationFailure.nonRetryable(
      `The instance ${instanceId} of ${vm} has not one volume for each of the VM's disks.`,
      'NotReadyForFailback',
    );
  return disks;
}

const tagsOf = ({ run, vm, pass }: SnapshotInstance) =>
  ({ ...runValues(run), vm, role: 'failback', pass }) as const;

async function findSets(ec2: EC2Client, input: SnapshotInstance): Promise<SnapshotSet[]> {
  const tagged = (await findSnapshots(ec2, tagsOf(input))).flatMap((snapshot) => {
    const tags = readTags(snapshot.Tags, FAILBACK_SNAPSHOT_FIELDS);
    return tags === undefined ? [] : [{ snapshot, set: tags.set }];
  });
  const groups = Map.groupBy(tagged, ({ set }) => set);
  return [...groups].map(([id, members]) => ({ id, snapshots: members.map(({ snapshot }) => snapshot) }));
}

/** The sets that have a good snapshot of each volume, oldest first. */
function wholeSets(sets: SnapshotSet[], volumes: Set<string>): SnapshotSet[] {
  const started = ({ snapshots }: SnapshotSet) =>
    Math.min(...snapshots.map(({ StartTime }) => StartTime?.getTime() ?? Infinity));
  return sets
    .filter(({ snapshots }) => {
      const covered = new Set(snapshots.map(({ VolumeId }) => VolumeId ?? ''));
      return (
        snapshots.length === volumes.size &&
        covered.size === volumes.size &&
        snapshots.every(({ State, VolumeId }) => State !== 'error' && volumes.has(VolumeId ?? ''))
      );
    })
    .sort((a, b) => started(a) - started(b) || (a.id < b.id ? -1 : 1));
}

async function alreadyMade(
  ec2: EC2Client,
  input: SnapshotInstance,
  volumes: Set<string>,
  isRetry: boolean,
  options: WaitOptions,
): Promise<boolean> {
  let looks = 0;
  return waitFor(
    'snapshots of an earlier try',
    async () => {
      const made = wholeSets(await findSets(ec2, input), volumes).length > 0;
      looks += 1;
      if (made) return true;
      return isRetry && looks < LATE_LOOKS ? undefined : false;
    },
    { pollSeconds: LATE_LOOK_SECONDS, ...options },
  );
}

async function create(ec2: EC2Client, input: SnapshotInstance): Promise<void> {
  // The volumes' tags are not copied: their role and run are those of the failover, and each key can be there once.
  // Which disk a snapshot is of is told by its volume.
  const Tags = [
    { Key: 'Name', Value: `${input.vm} on its way home (${input.run.plan})` },
    ...tagList({ ...tagsOf(input), set: randomUUID() }),
  ];
  await ec2.send(
    new CreateSnapshotsCommand({
      InstanceSpecification: { InstanceId: input.instanceId, ExcludeBootVolume: false },
      Description: `Lifeboat: ${input.vm} of the plan ${input.run.plan}, failback pass ${input.pass}`,
      TagSpecifications: [{ ResourceType: 'snapshot', Tags }],
    }),
  );
}

/** A set with a failed snapshot is of no use, and in the way of the next try. */
async function discardFailed(ec2: EC2Client, { snapshots }: SnapshotSet): Promise<never> {
  const failed = snapshots.find(({ State }) => State === 'error');
  await deleteSnapshots(
    ec2,
    snapshots.map(({ SnapshotId }) => SnapshotId),
  );
  throw ApplicationFailure.retryable(
    `AWS gave up the snapshot ${failed?.SnapshotId}: ${failed?.StateMessage ?? 'it does not say why'}.`,
    'SnapshotFailed',
  );
}
