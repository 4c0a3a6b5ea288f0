import {
  DeleteNetworkInterfaceCommand,
  type EC2Client,
  type Image,
  type Instance,
  type NetworkInterface,
  type Tag,
  TerminateInstancesCommand,
  type Volume,
} from '@aws-sdk/client-ec2';
import { type RunContext } from '../../../plan/run';
import { hasCode } from '../../failures';
import { deregisterImage, listImages } from './images';
import { listInstances, listNetworkInterfaces, listVolumes } from './lookup';
import { deleteSnapshots, deleteUnusedSnapshots, type DescribedSnapshot, findSnapshots } from './snapshots';
import { readInstance, readTags, type Role, tagFilters, type TagValues } from './tags';
import { attachmentOf, requestDeletion, requestDetach } from './volumes';
import { waitFor, type WaitOptions } from './waiting';

/** What a clean-up is about: everything of a plan, or of one run of it, or of one VM in that run. */
type Scope = Pick<TagValues, 'plan'> & Partial<Pick<TagValues, 'run' | 'vm'>>;

/** All that one run of it has, but only what is marked as a test's, where the run is not known to be one. */
type RemovalScope = Scope & { onlyTests?: true };

/**
 * Roles that a failover or a failback makes. Never among them: `dr-copy`, which is what all of this is for, and what
 * replication has under way.
 */
const REMOVABLE: ReadonlySet<Role> = new Set([
  'recovery',
  'test',
  'shell',
  'launch-image',
  'point-copy',
  'failback',
  'away-copy',
]);

/** Those of them that snapshots are made for; the shell image's stays. */
const REMOVABLE_SNAPSHOTS: ReadonlySet<Role | undefined> = new Set<Role>([
  'point-copy',
  'failback',
  'away-copy',
]);

/** EC2 is eventually consistent: what a lost call made may show late, so one empty look proves nothing. */
const EMPTY_LOOKS = 2;

/** What carries a scope's tags, by kind. */
export interface Found {
  instances: Instance[];
  volumes: Volume[];
  interfaces: NetworkInterface[];
  snapshots: DescribedSnapshot[];
  images: Image[];
}

/** Terminates and deletes what the run made for the VM, or for all VMs. Returns the ids, sorted. */
export function removeRecoveryResources(
  ec2: EC2Client,
  { run, vm }: { run: Pick<RunContext, 'plan' | 'runId'>; vm?: string },
  options: WaitOptions = {},
): Promise<{ removed: string[] }> {
  return removeAll(ec2, { plan: run.plan, run: run.runId, ...(vm === undefined ? {} : { vm }) }, options);
}

/** The same of a run of which no more is known than tags: of those, whatever is not a test's stays. */
export function removeTestResources(
  ec2: EC2Client,
  run: Pick<RunContext, 'plan' | 'runId'>,
  options: WaitOptions = {},
): Promise<{ removed: string[] }> {
  return removeAll(ec2, { plan: run.plan, run: run.runId, onlyTests: true }, options);
}

/**
 * Terminates and deletes everything that the plan has at the recovery site, of whatever run; DR copies stay. So does what a test
 * failover has made: it holds nothing of the plan, and may be under way. It removes that itself, and a sweep does where it has died.
 */
export function removeRecoverySite(
  ec2: EC2Client,
  { run }: { run: Pick<RunContext, 'plan'> },
  options: WaitOptions = {},
): Promise<{ removed: string[] }> {
  return removeAll(ec2, { plan: run.plan }, options);
}

/** Lists again and again, and removes what there is, until nothing is listed any more. */
async function removeAll(
  ec2: EC2Client,
  { onlyTests, ...scope }: RemovalScope,
  options: WaitOptions,
): Promise<{ removed: string[] }> {
  const removed = new Set<string>();
  const kept = new Set<string>();
  let emptyLooks = 0;
  await waitFor(
    `what the plan ${scope.plan} has at the recovery site to be gone`,
    async () => {
      const found = removable(await findAll(ec2, scope), { ...scope, ...(onlyTests ? { onlyTests } : {}) });
      const ids = idsOf(found).filter((id) => !kept.has(id));
      for (const id of ids) removed.add(id);
      emptyLooks = ids.length === 0 ? emptyLooks + 1 : 0;
      if (emptyLooks === EMPTY_LOOKS) return true;
      for (const id of await removeOnce(ec2, found)) kept.add(id);
      return undefined;
    },
    options,
  );
  return { removed: [...removed].filter((id) => !kept.has(id)).sort() };
}

export async function findAll(ec2: EC2Client, scope: Scope): Promise<Found> {
  const filters = tagFilters(scope);
  return {
    instances: await listInstances(ec2, filters),
    volumes: await listVolumes(ec2, filters),
    interfaces: await listNetworkInterfaces(ec2, filters),
    snapshots: await findSnapshots(ec2, scope),
    images: await listImages(ec2, filters),
  };
}

/** What may be removed of what was listed. The filters have chosen already; what deletes does not rely on that. */
function removable(found: Found, scope: RemovalScope): Found {
  const ours = (tags: Tag[] | undefined): boolean => {
    const read = readTags(tags, ['plan', 'run', 'vm', 'role', 'mode']);
    const ofTest = read?.role === 'test' || read?.mode === 'test';
    return (
      read !== undefined &&
      REMOVABLE.has(read.role) &&
      (scope.onlyTests === true ? ofTest : scope.run !== undefined || !ofTest) &&
      read.plan === scope.plan &&
      (scope.run === undefined || read.run === scope.run) &&
      (scope.vm === undefined || read.vm === scope.vm)
    );
  };
  return {
    instances: found.instances.filter(
      // EC2 lists terminated instances for an hour; they are gone all the same.
      ({ Tags, State }) => ours(Tags) && readInstance(Tags) !== undefined && State?.Name !== 'terminated',
    ),
    volumes: found.volumes.filter(({ Tags, State }) => ours(Tags) && State !== 'deleted'),
    interfaces: found.interfaces.filter(({ TagSet }) => ours(TagSet)),
    snapshots: found.snapshots.filter(
      ({ Tags }) => ours(Tags) && REMOVABLE_SNAPSHOTS.has(readTags(Tags, ['role'])?.role),
    ),
    images: found.images.filter(({ Tags, State }) => ours(Tags) && State !== 'deregistered'),
  };
}

function idsOf({ instances, volumes, interfaces, snapshots, images }: Found): string[] {
  return [
    ...instances.map(({ InstanceId }) => InstanceId),
    ...volumes.map(({ VolumeId }) => VolumeId),
    ...interfaces.map(({ NetworkInterfaceId }) => NetworkInterfaceId),
    ...snapshots.map(({ SnapshotId }) => SnapshotId),
    ...images.map(({ ImageId }) => ImageId),
  ].filter((id) => id !== undefined);
}

/**
 * Asks for the removal of everything that is in a state for it; the next look takes care of the rest.
 * @returns ids of snapshots that stay: those that somebody has locked, and away copies of which somebody has made an image
 */
export async function removeOnce(
  ec2: EC2Client,
  { instances, volumes, interfaces, snapshots, images }: Found,
): Promise<string[]> {
  const doomed = new Set(instances.map(({ InstanceId }) => InstanceId));
  for (const { InstanceId = '', State } of instances)
    if (State?.Name !== 'shutting-down') await terminate(ec2, InstanceId);
  for (const volume of volumes) {
    const { VolumeId = '', State } = volume;
    const holder = attachmentOf(volume);
    if (holder === undefined) {
      if (State === 'available' || State === 'error') await requestDeletion(ec2, VolumeId);
    } else if (!doomed.has(holder.InstanceId) && holder.State !== 'detaching') {
      // On a proxy whose work was cut off. One of a terminating instance comes off, and goes, with it.
      await requestDetach(ec2, VolumeId, holder.InstanceId ?? '');
    }
  }
  for (const { NetworkInterfaceId = '', Status } of interfaces)
    if (Status === 'available') await deleteInterface(ec2, NetworkInterfaceId);
  // Before the snapshots: those that an image is made of cannot be deleted.
  for (const { ImageId = '' } of images) await deregisterImage(ec2, ImageId);
  const isAway = ({ Tags }: DescribedSnapshot): boolean => readTags(Tags, ['role'])?.role === 'away-copy';
  const idOf = ({ SnapshotId }: DescribedSnapshot): string => SnapshotId;
  const deleted = new Set([
    ...(await deleteSnapshots(ec2, snapshots.filter((one) => !isAway(one)).map(idOf))),
    ...(await deleteUnusedSnapshots(ec2, snapshots.filter(isAway).map(idOf))),
  ]);
  return snapshots.map(idOf).filter((id) => !deleted.has(id));
}

async function deleteInterface(ec2: EC2Client, NetworkInterfaceId: string): Promise<void> {
  try {
    await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId }));
  } catch (error) {
    if (!hasCode(error, 'InvalidNetworkInterfaceID.NotFound')) throw error;
  }
}

/** TerminateInstances; one that is gone is no error. */
export async function terminate(ec2: EC2Client, instanceId: string): Promise<void> {
  try {
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
  } catch (error) {
    if (!hasCode(error, 'InvalidInstanceID.NotFound')) throw error;
  }
}
