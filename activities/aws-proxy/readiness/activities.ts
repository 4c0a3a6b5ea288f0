import { type EC2Client } from '@aws-sdk/client-ec2';
import { type IAMClient } from '@aws-sdk/client-iam';
import { type Route53Client } from '@aws-sdk/client-route-53';
import { type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { type ReadinessActivities } from './contract';
import { checkFailover } from './preflight';
import { checkReadiness } from './standing-check';

export interface ReadinessDependencies {
  ec2: EC2Client;
  route53: Route53Client;
  iam: IAMClient;
  serviceQuotas: ServiceQuotasClient;
  /** Region that the clients ask. */
  region: string;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Recursive resolvers that know where a domain is delegated to; none where it is not asked. */
  resolvers?: string[];
}

/** What can be known before a failover. */
export function createReadinessActivities(dependencies: ReadinessDependencies): ReadinessActivities {
  const activities = {
    checkFailover: (input) => checkFailover(dependencies, input),
    checkReadiness: (input) => checkReadiness(dependencies, input),
  } satisfies ReadinessActivities;
  return withFailures(beating(activities));
}
