import {
  DescribeInstanceStatusCommand,
  type EC2Client,
  type Filter,
  type Instance,
  type InstanceStatus,
  type NetworkInterface,
  paginateDescribeInstances,
  paginateDescribeNetworkInterfaces,
  paginateDescribeReplaceRootVolumeTasks,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  type ReplaceRootVolumeTask,
  type Snapshot,
  type Volume,
} from '@aws-sdk/client-ec2';
import { hasCode } from '../../failures';
import { SharedLooks } from './shared-looks';

/** Most values that one filter takes. EC2 API Reference, "Filtering". */
export const FILTER_VALUES = 200;
/** Results a page: the most that a Describe call gives together with filters. */
const PAGE_SIZE = 500;
const SNAPSHOTS_PAGE_SIZE = 1000;
/** The most that DescribeReplaceRootVolumeTasks gives (EC2's service model, MaxResults). */
const TASKS_PAGE_SIZE = 50;
/** "Maximum 100 explicitly specified instance IDs". EC2 API Reference, DescribeInstanceStatus, which has no filter of ids. */
const STATUS_IDS = 100;

/** Looks at single things of an account; all who work with one client share them. */
interface Looks {
  instances: SharedLooks<Instance>;
  statuses: SharedLooks<InstanceStatus>;
  volumes: SharedLooks<Volume>;
  snapshots: SharedLooks<Snapshot>;
  rootReplacements: SharedLooks<ReplaceRootVolumeTask[]>;
}

const looksOfClients = new WeakMap<EC2Client, Looks>();

function looksOf(ec2: EC2Client): Looks {
  let looks = looksOfClients.get(ec2);
  if (looks === undefined) {
    looks = {
      instances: new SharedLooks(
        (ids) => listByIds(ec2, 'instance-id', ids, listInstances),
        ({ InstanceId }) => InstanceId,
      ),
      statuses: new SharedLooks(
        (ids) => listStatuses(ec2, ids),
        ({ InstanceId }) => InstanceId,
      ),
      volumes: new SharedLooks(
        (ids) => listByIds(ec2, 'volume-id', ids, listVolumes),
        ({ VolumeId }) => VolumeId,
      ),
      snapshots: new SharedLooks(
        (ids) => listByIds(ec2, 'snapshot-id', ids, listSnapshots),
        ({ SnapshotId }) => SnapshotId,
      ),
      rootReplacements: new SharedLooks(
        async (ids) => [
          ...Map.groupBy(
            await listByIds(ec2, 'instance-id', ids, listRootReplacements),
            ({ InstanceId }) => InstanceId,
          ).values(),
        ],
        ([first]) => first?.InstanceId,
      ),
    };
    looksOfClients.set(ec2, looks);
  }
  return looks;
}

/** By a filter, which finds what there is: of ids, one that EC2 does not know would be an error, and nobody would learn of the others. */
async function listByIds<T>(
  ec2: EC2Client,
  Name: string,
  ids: string[],
  list: (ec2: EC2Client, filters: Filter[]) => Promise<T[]>,
): Promise<T[]> {
  const found: T[] = [];
  for (let at = 0; at < ids.length; at += FILTER_VALUES)
    found.push(...(await list(ec2, [{ Name, Values: ids.slice(at, at + FILTER_VALUES) }])));
  return found;
}

/** @returns undefined where EC2 does not list it: gone, or not visible yet */
export function findInstance(ec2: EC2Client, instanceId: string): Promise<Instance | undefined> {
  return looksOf(ec2).instances.find(instanceId);
}

/** Its state and status checks. @returns undefined where EC2 does not list it: gone, or not visible yet */
export function findInstanceStatus(ec2: EC2Client, instanceId: string): Promise<InstanceStatus | undefined> {
  return looksOf(ec2).statuses.find(instanceId);
}

/** @returns undefined where EC2 does not list it: gone, or not visible yet */
export function findVolume(ec2: EC2Client, volumeId: string): Promise<Volume | undefined> {
  return looksOf(ec2).volumes.find(volumeId);
}

/** @returns undefined where EC2 does not list it among this account's: gone, or not visible yet */
export function findSnapshot(ec2: EC2Client, snapshotId: string): Promise<Snapshot | undefined> {
  return looksOf(ec2).snapshots.find(snapshotId);
}

/** Tasks that replace the instance's root, or have. */
export async function findRootReplacements(
  ec2: EC2Client,
  instanceId: string,
): Promise<ReplaceRootVolumeTask[]> {
  return (await looksOf(ec2).rootReplacements.find(instanceId)) ?? [];
}

async function listRootReplacements(ec2: EC2Client, filters: Filter[]): Promise<ReplaceRootVolumeTask[]> {
  const found: ReplaceRootVolumeTask[] = [];
  const pages = paginateDescribeReplaceRootVolumeTasks(
    { client: ec2, pageSize: TASKS_PAGE_SIZE },
    { Filters: filters },
  );
  for await (const { ReplaceRootVolumeTasks } of pages) found.push(...(ReplaceRootVolumeTasks ?? []));
  return found;
}

async function listStatuses(ec2: EC2Client, ids: string[]): Promise<InstanceStatus[]> {
  const found: InstanceStatus[] = [];
  for (let at = 0; at < ids.length; at += STATUS_IDS)
    found.push(...(await statusesOf(ec2, ids.slice(at, at + STATUS_IDS))));
  return found;
}

const statusesOf = (ec2: EC2Client, ids: string[]): Promise<InstanceStatus[]> =>
  knownOf(ids, 'InvalidInstanceID.NotFound', async (InstanceIds) => {
    const asked = { InstanceIds, IncludeAllInstances: true };
    const { InstanceStatuses } = await ec2.send(new DescribeInstanceStatusCommand(asked));
    return InstanceStatuses ?? [];
  });

/**
 * What EC2 tells of those of the ids that it knows. One that it does not know makes the whole call fail: then those of each half are
 * asked for, down to the one.
 * @param unknown AWS's error code for such an id
 */
export async function knownOf<T>(
  ids: string[],
  unknown: string,
  ask: (ids: string[]) => Promise<T[]>,
): Promise<T[]> {
  try {
    return await ask(ids);
  } catch (error) {
    if (!hasCode(error, unknown)) throw error;
    if (ids.length === 1) return [];
    const middle = Math.ceil(ids.length / 2);
    return [
      ...(await knownOf(ids.slice(0, middle), unknown, ask)),
      ...(await knownOf(ids.slice(middle), unknown, ask)),
    ];
  }
}

export async function listInstances(ec2: EC2Client, filters: Filter[]): Promise<Instance[]> {
  const found: Instance[] = [];
  const pages = paginateDescribeInstances({ client: ec2, pageSize: PAGE_SIZE }, { Filters: filters });
  for await (const { Reservations } of pages)
    found.push(...(Reservations ?? []).flatMap((reservation) => reservation.Instances ?? []));
  return found;
}

export async function listVolumes(ec2: EC2Client, filters: Filter[]): Promise<Volume[]> {
  const found: Volume[] = [];
  const pages = paginateDescribeVolumes({ client: ec2, pageSize: PAGE_SIZE }, { Filters: filters });
  for await (const { Volumes } of pages) found.push(...(Volumes ?? []));
  return found;
}

/** This account's own: those that others share are left out, as whoever shares them writes their tags. */
export async function listSnapshots(ec2: EC2Client, filters: Filter[]): Promise<Snapshot[]> {
  const found: Snapshot[] = [];
  const pages = paginateDescribeSnapshots(
    { client: ec2, pageSize: SNAPSHOTS_PAGE_SIZE },
    { OwnerIds: ['self'], Filters: filters },
  );
  for await (const { Snapshots } of pages) found.push(...(Snapshots ?? []));
  return found;
}

export async function listNetworkInterfaces(ec2: EC2Client, filters: Filter[]): Promise<NetworkInterface[]> {
  const found: NetworkInterface[] = [];
  const pages = paginateDescribeNetworkInterfaces({ client: ec2, pageSize: PAGE_SIZE }, { Filters: filters });
  for await (const { NetworkInterfaces } of pages) found.push(...(NetworkInterfaces ?? []));
  return found;
}
