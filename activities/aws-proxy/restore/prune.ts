import { type EC2Client } from '@aws-sdk/client-ec2';
import { Context } from '@temporalio/activity';
import { type RepositoryAddress } from '../../../plan/run';
import { collect } from '../../../repository/upkeep/collection';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkGeneration } from '../../../repository/plans/plan-state';
import { retentionPolicies } from '../../../repository/plans/plans';
import { withFailures } from '../../failures';
import { whileBeating } from '../../heartbeat';
import { type AwsProxyActivities } from '../contract';
import { heldBackups } from './held-backups';

export interface PruneDependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

/** Retention and collection in the backup repository. */
export function createPruneActivities({
  ec2,
  objectStore,
}: PruneDependencies): Pick<AwsProxyActivities, 'pruneBackups'> {
  return withFailures({
    pruneBackups: ({ run, vm, retention, sweep }) =>
      whileBeating(async () => {
        const store = objectStore(run.repository);
        return collect({
          store,
          vm,
          policies: [retention, ...(await retentionPolicies(store, vm))],
          heldBackups: () => heldBackups(ec2, vm),
          beforeChange: () => checkGeneration(store, run),
          sweep,
          dryRun: false,
          signal: Context.current().cancellationSignal,
        });
      }),
  } satisfies Pick<AwsProxyActivities, 'pruneBackups'>);
}
