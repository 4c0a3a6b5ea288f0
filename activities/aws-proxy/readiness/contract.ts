import { type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { type DrCopy } from '../account/contract';

/** Activities that tell beforehand whether a failover can succeed. */
export interface ReadinessActivities {
  /**
   * Everything that can be known beforehand: DR copies, subnets, instance types (offered there, same architecture),
   * security groups, hosted zone. One failure that names all that is wrong.
   * @throws ApplicationFailure NotReadyForFailover, non-retryable
   */
  checkFailover(input: { run: Omit<RunContext, 'generation'>; plan: DrPlan; test: boolean }): Promise<{
    availabilityZone: string;
    drCopies: DrCopy[];
  }>;
}
