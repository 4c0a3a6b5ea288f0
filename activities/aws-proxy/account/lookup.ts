import {
  DescribeInstancesCommand,
  DescribeVolumesCommand,
  paginateDescribeInstances,
  paginateDescribeNetworkInterfaces,
  paginateDescribeVolumes,
  type EC2Client,
  type Filter,
  type Instance,
  type NetworkInterface,
  type Volume,
} from '@aws-sdk/client-ec2';
import { hasCode } from '../../failures';

/** Most values that one filter takes. EC2 API Reference, "Filtering". */
export const FILTER_VALUES = 200;
/** Results a page: the most that a Describe call gives together with filters. */
const PAGE_SIZE = 500;

/** @returns undefined where EC2 does not know it: gone, or not visible yet */
export async function findInstance(ec2: EC2Client, instanceId: string): Promise<Instance | undefined> {
  try {
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [instanceId] }));
    return Reservations?.[0]?.Instances?.[0];
  } catch (error) {
    if (hasCode(error, 'InvalidInstanceID.NotFound')) return undefined;
    throw error;
  }
}

/** @returns undefined where EC2 does not know it: gone, or not visible yet */
export async function findVolume(ec2: EC2Client, volumeId: string): Promise<Volume | undefined> {
  try {
    const { Volumes } = await ec2.send(new DescribeVolumesCommand({ VolumeIds: [volumeId] }));
    return Volumes?.[0];
  } catch (error) {
    if (hasCode(error, 'InvalidVolume.NotFound')) return undefined;
    throw error;
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

export async function listNetworkInterfaces(ec2: EC2Client, filters: Filter[]): Promise<NetworkInterface[]> {
  const found: NetworkInterface[] = [];
  const pages = paginateDescribeNetworkInterfaces({ client: ec2, pageSize: PAGE_SIZE }, { Filters: filters });
  for await (const { NetworkInterfaces } of pages) found.push(...(NetworkInterfaces ?? []));
  return found;
}
