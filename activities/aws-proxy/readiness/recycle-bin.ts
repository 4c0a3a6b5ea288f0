import { type EC2Client, paginateListSnapshotsInRecycleBin } from '@aws-sdk/client-ec2';
import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { someOf } from '../../../plan/some-of';
import { asked } from './asked';

/** The most that ListSnapshotsInRecycleBin gives a page. EC2 API Reference, MaxResults. */
const PAGE_SIZE = 1000;

/**
 * Whether a rule of the Recycle Bin keeps what replication deletes: each round leaves a DR copy there then, which is billed. The rules
 * are another service's; what they have kept, EC2 tells, by the description that a snapshot was made with.
 */
export function recycleBinFindings(ec2: EC2Client, { vms }: Pick<DrPlan, 'vms'>): Promise<Finding[]> {
  return asked('the Recycle Bin', 'ec2:ListSnapshotsInRecycleBin', async () => {
    const planned = new Set(vms.map(({ name }) => name));
    const kept: string[] = [];
    for await (const { Snapshots } of paginateListSnapshotsInRecycleBin(
      { client: ec2, pageSize: PAGE_SIZE },
      {},
    ))
      for (const { Description = '' } of Snapshots ?? []) {
        const vm = /^Lifeboat: \S+ of (\S+) at /.exec(Description)?.[1];
        if (vm !== undefined && planned.has(vm)) kept.push(vm);
      }
    if (kept.length === 0) return [];
    return [
      {
        code: 'recycle-bin',
        severity: 'warning',
        text: `The Recycle Bin keeps ${kept.length} snapshots of ${someOf([...new Set(kept)].sort())} that replication has deleted; they are billed.`,
        todo: "Exclude the tag lifeboat:plan from the Region's retention rules: aws rbin list-rules --resource-type EBS_SNAPSHOT.",
        about: 'recycle-bin',
      },
    ];
  });
}
