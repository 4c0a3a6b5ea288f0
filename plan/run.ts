import { type FenceOrder } from './fence-order';

/**
 * What every run carries: which plan, in which version, where its truth lives, and who the run is.
 * Activities need nothing else to find the plan, the backups and the resources of the run again.
 */
export interface RunContext {
  /** Name of the DR plan. */
  plan: string;
  /** Lower-case hex SHA-256 of the normalized plan; its key in the repository bucket. */
  digest: string;
  repository: RepositoryAddress;
  /** Temporal's first execution run id of the top-level workflow; tags and client tokens are made of it. */
  runId: string;
  /** Generation of the plan's state under which this run may change things; see {@link PlanState}. */
  generation: number;
  /** A test failover, which holds nothing of the plan: what it makes is marked as a test's. */
  test?: boolean;
}

/** Where a backup repository is. */
export interface RepositoryAddress {
  bucket: string;
  /** Empty, or ends with "/". */
  prefix: string;
  region: string;
  /** S3 endpoint, where it is not the Region's public one. */
  endpoint?: string;
}

/** Where the protected application runs, or is moving to. */
export type PlanPhase = 'protected' | 'failing-over' | 'failed-over' | 'failing-back' | 'failed-back';

/**
 * The one state of a plan, an object in the repository bucket written with conditional PUTs only.
 * A run that changes things takes it first; the generation rises by one each time, which fences off the run that
 * held it before.
 */
export interface PlanState {
  plan: string;
  phase: PlanPhase;
  generation: number;
  /** Digest of the plan that the phase was entered with. */
  digest: string;
  /** The run that holds the state. */
  runId: string;
  /** Runs that held it before, the latest first, as far back as a call of one may still be on its way. */
  formerRunIds?: string[];
  /** ISO 8601, UTC. */
  updatedAt: string;
  /** That the plan's VMs stay off at home while it is failed over; absent where nobody ordered it. */
  fence?: FenceOrder;
  /** Of a plan that is failing back: what is being undone meanwhile; absent in a failback. */
  undoing?: Undone;
  /** ISO 8601, UTC. Of a plan that has failed back: when the last site stopped to serve. What was written since then is at home only. */
  homeSince?: string;
  /** Runs of failbacks that ended half-way, and whose VMs may still be at home; absent where there are none. */
  unfinishedFailbacks?: string[];
}

/** What an undo takes back. */
export type Undone = 'failover' | 'failback';
