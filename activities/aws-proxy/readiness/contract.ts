import { type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { type DrCopy } from '../account/contract';

/** What a failover is made from, and where. */
export interface FailoverReadiness {
  /** Of the first subnet: where volumes are made. */
  availabilityZone: string;
  drCopies: DrCopy[];
  /** Where VMs have to be that have a fixed address; absent where none has. */
  places?: FixedPlace[];
}

/** The one subnet that a VM can be launched in. */
export interface FixedPlace {
  vm: string;
  subnet: string;
  availabilityZone: string;
}

/** Activities that tell beforehand whether a failover can succeed. */
export interface ReadinessActivities {
  /**
   * Everything that can be known beforehand: DR copies, subnets, instance types (offered there, same architecture),
   * security groups, hosted zone. One failure that names all that is wrong.
   * @throws ApplicationFailure NotReadyForFailover, non-retryable
   */
  checkFailover(input: {
    run: Omit<RunContext, 'generation'>;
    plan: DrPlan;
    test: boolean;
  }): Promise<FailoverReadiness>;
}
