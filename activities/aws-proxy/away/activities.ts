import { type EC2Client } from '@aws-sdk/client-ec2';
import { activityInfo } from '@temporalio/activity';
import { type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { type AwayActivities } from './contract';
import { makeAwayCopy } from './copy';
import { readAwayInstances } from './instances';

export interface AwayDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

/** What protects the application while it runs at the recovery site. */
export function createAwayActivities({ ec2, objectStore, pollSeconds }: AwayDependencies): AwayActivities {
  const activities = {
    readAwayInstances: ({ plan }) => readAwayInstances(ec2, plan),

    makeAwayCopy: (input) =>
      makeAwayCopy(ec2, objectStore(input.run.repository), input, activityInfo().attempt > 1, {
        ...(pollSeconds === undefined ? {} : { pollSeconds }),
      }),
  } satisfies AwayActivities;
  return withFailures(beating<AwayActivities>(activities));
}
