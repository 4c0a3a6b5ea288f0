import { type ChosenPoint } from '../../../plan/lines';
import { type Finding, type FindingCode } from '../../../plan/readiness';
import { type RunContext } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { type GuestFacts } from '../../../plan/tested';
import { type DrCopy } from '../account/contract';

/** What a failover is made from, and where. */
export interface FailoverReadiness {
  /** Of the first subnet: where volumes are made. */
  availabilityZone: string;
  /** Of those VMs whose recovery point a DR copy holds. */
  drCopies: DrCopy[];
  /** Recovery points that no DR copy holds, whose snapshots have to be made; absent where there are none. */
  toCopy?: ChosenPoint[];
  /** Where VMs have to be that have a fixed address or subnets of their own; absent where none has. */
  places?: VmPlace[];
  /** What stops nothing, and a person should know, one sentence each; absent where there is nothing. */
  notes?: string[];
  /** What would have stopped it, had nobody said that it is to go on all the same; absent where there is nothing. */
  overridden?: string[];
  /** Lifeboat's version on the AWS proxy; absent from those of before it was told. */
  version?: string;
}

/** Where one VM can be launched. */
export interface VmPlace {
  vm: string;
  /** The one that its fixed address is in; absent where it can be in any of its subnets. */
  subnet?: string;
  /** Where its volumes are made. */
  availabilityZone: string;
}

/** Activities that tell beforehand whether a failover can succeed. */
export interface ReadinessActivities {
  /**
   * Everything that can be known beforehand: DR copies, subnets, instance types (offered there, same architecture),
   * security groups, quotas of vCPUs, hosted zone. One failure that names all that is wrong.
   * @throws ApplicationFailure NotReadyForFailover, non-retryable
   */
  checkFailover(input: {
    run: Omit<RunContext, 'generation'>;
    plan: DrPlan;
    test: boolean;
    /** The recovery points that were chosen, where they were; those that the DR copies hold otherwise. */
    points?: ChosenPoint[];
    /** What does not stop it although it is wrong, of what can be gone without (plan/readiness.ts). */
    force?: FindingCode[];
    /** The whole plan, where `plan` is a part of it: launch copies are made of the whole. */
    whole?: DrPlan;
  }): Promise<FailoverReadiness>;

  /**
   * All that can be known of a failover and a test failover, asked by reading only: what {@link checkFailover} asks for either, and
   * what of DR copies and account gets worse with time. What cannot be asked is a finding, too.
   */
  checkReadiness(input: {
    run: Omit<RunContext, 'generation'>;
    plan: DrPlan;
    /** Whether the plan is replicated now, so that its DR copies have to be young. */
    replicated: boolean;
  }): Promise<CheckedReadiness>;
}

/** What a check of the recovery site found. */
export interface CheckedReadiness {
  findings: Finding[];
  /** The backups that the DR copies hold, by VM; those without a DR copy are absent. */
  recoveryPoints: Record<string, string>;
  /** One of the DR copies' snapshots; absent where there is none, and from AWS proxies of before it was told. */
  snapshotId?: string;
  /** Zones in which an AWS proxy has to attach volumes: those of VMs that are not launched by a launch copy. */
  proxyZones: string[];
  /** What the backups of the DR copies say of the guests, by VM; absent from AWS proxies of before it was told. */
  guests?: Record<string, GuestFacts>;
}
