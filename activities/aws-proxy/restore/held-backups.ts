import {
  type EC2Client,
  paginateDescribeInstances,
  paginateDescribeVolumes,
  type Tag,
} from '@aws-sdk/client-ec2';
import { findSnapshots } from '../account/snapshots';
import { readTags, tagFilters } from '../account/tags';

/** Results a page: the most that a Describe call gives together with filters. */
const PAGE_SIZE = 1000;

/**
 * Ids of a VM's backups that anything at the recovery site names: DR copies and pending copies of any plan, instances
 * and volumes of failovers and tests. They need the backup's manifest, or its block map. Whatever carries the two tags
 * counts, whole or not: to keep a backup for nothing costs less than to lose one.
 */
export async function heldBackups(ec2: EC2Client, vm: string): Promise<Set<string>> {
  const held = new Set<string>();
  const note = ({ Tags }: { Tags?: Tag[] }): void => {
    const point = readTags(Tags, ['recoveryPoint'])?.recoveryPoint;
    if (point !== undefined) held.add(point);
  };
  (await findSnapshots(ec2, { vm })).forEach(note);
  const input = { Filters: tagFilters({ vm }) };
  const paging = { client: ec2, pageSize: PAGE_SIZE };
  for await (const page of paginateDescribeInstances(paging, input))
    for (const { Instances } of page.Reservations ?? []) (Instances ?? []).forEach(note);
  for await (const page of paginateDescribeVolumes(paging, input)) (page.Volumes ?? []).forEach(note);
  return held;
}
