import { type EBSClient } from '@aws-sdk/client-ebs';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { activityInfo } from '@temporalio/activity';
import { type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { type AwsProxyActivities } from '../contract';
import { checkNothingBeyond } from './disk-end';
import { snapshotInstanceOnce } from './instance-snapshot';
import { readRecoveryInstances } from './recovery-instances';
import { removeSnapshots } from '../account/snapshots';
import { runValues } from '../account/tags';

export interface FailbackDependencies {
  ec2: EC2Client;
  ebs: EBSClient;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

type FailbackActivities = Pick<
  AwsProxyActivities,
  'readInstances' | 'snapshotInstance' | 'checkDiskFits' | 'deleteFailbackSnapshots'
>;

/** The recovery site's side of failback: what runs there, and its disks as they are at one instant. */
export function createFailbackActivities(dependencies: FailbackDependencies): FailbackActivities {
  const { ec2, ebs, objectStore, pollSeconds } = dependencies;
  const activities = {
    readInstances: ({ run, plan }) => readRecoveryInstances(ec2, objectStore(run.repository), plan),

    snapshotInstance: (input) =>
      snapshotInstanceOnce(
        ec2,
        input,
        activityInfo().attempt > 1,
        pollSeconds === undefined ? {} : { pollSeconds },
      ),

    checkDiskFits: ({ snapshotId, disk }) => checkNothingBeyond(ec2, ebs, snapshotId, disk),

    async deleteFailbackSnapshots({ run, vm }) {
      const tags = { ...runValues(run), role: 'failback', ...(vm === undefined ? {} : { vm }) } as const;
      return { deleted: await removeSnapshots(ec2, tags, pollSeconds) };
    },
  } satisfies FailbackActivities;
  return withFailures(beating<FailbackActivities>(activities));
}
