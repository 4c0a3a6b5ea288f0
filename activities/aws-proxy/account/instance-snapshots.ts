import { randomUUID } from 'node:crypto';
import { CreateSnapshotsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { deleteSnapshots, type DescribedSnapshot, findSnapshots } from './snapshots';
import { readTags, tagList, type TagField, type TagValues } from './tags';
import { waitFor, type WaitOptions } from './waiting';

/** Looks that a retry takes before it believes that the try before it has made nothing. */
const LATE_LOOKS = 5;
/** Seconds between those looks; what was made is mostly seen at once, and within some seconds when it is not. */
const LATE_LOOK_SECONDS = 2;
/** Longest that snapshots may take to complete; the first ones of large volumes take hours. */
const COMPLETION_LIMIT_SECONDS = 12 * 3600;
/** Seconds without any whole set after which somebody has deleted it, or exchanged a volume meanwhile: it is begun again. */
const MISSING_LIMIT_SECONDS = 120;

/** One CreateSnapshots call that is to be made once. */
export interface SnapshotCall {
  /** What it is of, for people. */
  vm: string;
  instanceId: string;
  /** What it is found again by: unlike the tags of any other call. */
  tags: Partial<TagValues>;
  /** What its snapshots carry besides. */
  moreTags?: Partial<TagValues>;
  /** Name of each snapshot, for people. */
  name: string;
  description: string;
}

/** What one CreateSnapshots call has made. */
export interface SnapshotSet {
  id: string;
  snapshots: DescribedSnapshot[];
}

/**
 * CreateSnapshots of all of an instance's volumes at one instant, once, until they are completed: the call has no client token, so
 * what it has made is looked for first. Of two sets that both came to be, the older one counts and the other goes.
 * @param volumes ids of all volumes of the instance
 * @param isRetry whether an earlier try may have made snapshots that cannot be seen yet
 * @throws ApplicationFailure SnapshotFailed, retryable, where AWS has given a snapshot up; its set is gone then
 * @throws ApplicationFailure NotYetVisible, retryable, where there is no whole set any more, or not yet
 */
export async function snapshotVolumesOnce(
  ec2: EC2Client,
  call: SnapshotCall,
  volumes: ReadonlySet<string>,
  isRetry: boolean,
  options: WaitOptions = {},
): Promise<SnapshotSet> {
  if (!(await alreadyMade(ec2, call, volumes, isRetry, options))) await create(ec2, call);

  // From here on, what EC2 lists decides: two tries of one activity come to the same answer.
  let lastSeen = Date.now();
  const chosen = await waitFor(
    `the snapshots of ${call.vm} to be completed`,
    async () => {
      const sets = await findSets(ec2, call);
      const whole = wholeSets(sets, volumes)[0];
      if (whole?.snapshots.every(({ State }) => State === 'completed')) return whole;
      const failed = sets.find(({ snapshots }) => snapshots.some(({ State }) => State === 'error'));
      if (whole === undefined && failed !== undefined) await discardFailed(ec2, failed);
      if (whole !== undefined) lastSeen = Date.now();
      else if (Date.now() - lastSeen > MISSING_LIMIT_SECONDS * 1000) throw missing(call);
      return undefined;
    },
    { ...options, limitSeconds: COMPLETION_LIMIT_SECONDS },
  );
  const doubles = (await findSets(ec2, call)).filter(({ id }) => id !== chosen.id);
  await deleteSnapshots(
    ec2,
    doubles.flatMap(({ snapshots }) => snapshots.map(({ SnapshotId }) => SnapshotId)),
  );
  return chosen;
}

const missing = ({ vm, instanceId }: SnapshotCall): ApplicationFailure =>
  ApplicationFailure.retryable(
    `EC2 does not list a snapshot of each volume of ${vm}'s instance ${instanceId}; has something else deleted one, or exchanged a volume?`,
    'NotYetVisible',
  );

async function findSets(ec2: EC2Client, { tags }: SnapshotCall): Promise<SnapshotSet[]> {
  const fields = [...(Object.keys(tags) as TagField[]), 'set'] as const;
  const tagged = (await findSnapshots(ec2, tags)).flatMap((snapshot) => {
    const read = readTags(snapshot.Tags, fields);
    return read === undefined ? [] : [{ snapshot, set: read.set }];
  });
  const groups = Map.groupBy(tagged, ({ set }) => set);
  return [...groups].map(([id, members]) => ({ id, snapshots: members.map(({ snapshot }) => snapshot) }));
}

/** The sets that have a good snapshot of each volume, oldest first. */
function wholeSets(sets: SnapshotSet[], volumes: ReadonlySet<string>): SnapshotSet[] {
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
  call: SnapshotCall,
  volumes: ReadonlySet<string>,
  isRetry: boolean,
  options: WaitOptions,
): Promise<boolean> {
  let looks = 0;
  return waitFor(
    'snapshots of an earlier try',
    async () => {
      const made = wholeSets(await findSets(ec2, call), volumes).length > 0;
      looks += 1;
      if (made) return true;
      return isRetry && looks < LATE_LOOKS ? undefined : false;
    },
    { pollSeconds: LATE_LOOK_SECONDS, ...options },
  );
}

async function create(ec2: EC2Client, call: SnapshotCall): Promise<void> {
  const { instanceId: InstanceId, tags, moreTags, name, description } = call;
  // The volumes' tags are not copied: their role and run are those of the failover, and each key can be there once.
  // Which disk a snapshot is of is told by its volume.
  const Tags = [{ Key: 'Name', Value: name }, ...tagList({ ...tags, ...moreTags, set: randomUUID() })];
  await ec2.send(
    new CreateSnapshotsCommand({
      InstanceSpecification: { InstanceId, ExcludeBootVolume: false },
      Description: description,
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
