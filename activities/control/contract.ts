import { type ChosenLine } from '../../plan/lines';
import { type DrPlan } from '../../plan/schema';
import { type DailyWindow } from '../../plan/daily-window';
import { type FenceOrder } from '../../plan/fence-order';
import { type Finding, type KeptCheck } from '../../plan/readiness';
import { type ListedProxy } from './workers/listed-proxy';
import { type ClosedWindow } from '../../plan/replication-limit';
import { type GuestFacts } from '../../plan/tested';
import {
  type PlanPhase,
  type PlanState,
  type RepositoryAddress,
  type RunContext,
  type Undone,
} from '../../plan/run';

/** How a run has ended, for its evidence document: what its history does not tell. It does not grow with the plan. */
export interface EvidenceEnd {
  plan: string;
  kind: 'failover' | 'failback' | 'undo';
  workflowId: string;
  /** Of this execution, whose history is read. */
  runId: string;
  /** The run's id everywhere else. */
  firstRunId: string;
  ended: 'completed' | 'failed' | 'cancelled';
  /** ISO 8601, UTC. */
  endedAt: string;
  failure?: string;
  /** Of a run that has completed. */
  figures?: {
    rpoSeconds?: number;
    rtoSeconds?: number;
    downtimeSeconds?: number;
    notes?: string[];
    leftOut?: { vm: string; why: string; by?: string; at?: string; notRemoved?: string }[];
  };
}

/** Where the evidence of a run is, in the repository. */
export interface WrittenEvidence {
  /** Its number among the plan's. */
  sequence: number;
  /** Keys below the repository's prefix, and the SHA-256 (lower-case hex) of the document. */
  document: string;
  page: string;
  sha256: string;
}

/** Activities of the control worker: the plan and its state in the repository bucket. */
export interface ControlActivities {
  /**
   * Finds the plan in the repository bucket: by digest where one is given, else the newest published one.
   * @throws ApplicationFailure PlanNotFound, non-retryable
   */
  loadPlan(input: { plan: string; digest?: string }): Promise<{
    digest: string;
    plan: DrPlan;
    repository: RepositoryAddress;
    /** Absent where nothing was ever replicated or failed over. */
    state?: PlanState;
    /** Absent where the plan lets backups begin now. */
    closedWindow?: ClosedWindow;
  }>;

  /**
   * Takes the plan's state: moves it from one of `from` to `to` and raises the generation. The same run taking it
   * again with the same `to` gets the generation that it already holds.
   * @throws ApplicationFailure WrongPhase, non-retryable, where the plan is in no phase of `from`
   */
  takePlanState(input: {
    run: Omit<RunContext, 'generation'>;
    /** `none`: there is no state yet. */
    from: (PlanPhase | 'none')[];
    to: PlanPhase;
    /** Beside the phase `failing-back`: what is undone. */
    undoing?: Undone;
    /** Of a failover to chosen recovery points: what it goes on from. */
    chosen?: ChosenLine;
  }): Promise<PlanState>;

  /**
   * Moves the state that this run holds on, keeping the generation. `without` are VMs that a failover left out.
   * @throws ApplicationFailure Fenced, non-retryable, where another run has taken the state since
   */
  movePlanState(input: {
    run: RunContext;
    to: PlanPhase;
    /** To `failed-over`: leaves the order to keep the VMs off at home; one that is there stays as it is. */
    fence?: boolean;
    /** To `failed-back`: ISO 8601, UTC, when the recovery site stopped to serve. */
    homeSince?: string;
    /** VMs that a failover left out; those that are known of stay so until the plan is protected again. */
    without?: string[];
  }): Promise<PlanState>;

  /**
   * Keeps in the plan's state that the fence order was carried out.
   * @param input.at ISO 8601, UTC: of the look; the same one, or an earlier, changes nothing any more
   * @param input.vms whose power was taken
   */
  recordFence(input: { run: RunContext; at: string; vms: string[] }): Promise<FenceOrder | undefined>;

  /** @throws ApplicationFailure Fenced, non-retryable, where another run has taken the state since */
  checkPlanState(input: { run: RunContext }): Promise<void>;

  /**
   * Keeps what a check found: with the time since when each finding is found, what only the control worker knows added, and the
   * verdict. One that comes late, after a newer check, is judged and not kept.
   */
  keepCheck(
    input: Pick<KeptCheck, 'checkedAt' | 'recoveryPoints' | 'proxies'> & {
      run: Omit<RunContext, 'generation'>;
      /** Recovery time objective in seconds; absent where the plan has none. */
      rto?: number;
      /** Seconds within which the plan wants a good test again; absent where it does not say. */
      testEvery?: number;
      findings: Finding[];
      /** Of the backups that the DR copies hold, by VM. */
      guests?: Record<string, GuestFacts>;
    },
  ): Promise<KeptCheck>;

  /**
   * Whether it is within these hours now. An activity, as the clocks of time zones change with the host's data.
   * @returns ISO 8601, UTC: when they begin; absent where they have
   * @throws ApplicationFailure BadRequest, non-retryable
   */
  readWindow(input: DailyWindow): Promise<{ opensAt?: string }>;

  /**
   * What only the control worker can see before a failover: every proxy that polls, versions of control workers that the plan's runs need
   * and nobody serves, and what it may not do itself. Changes nothing.
   * @param input.topics ARNs of SNS topics that the plan has told
   */
  lookAtWorkers(input: {
    run: Omit<RunContext, 'generation'>;
    topics: string[];
  }): Promise<{ proxies: ListedProxy[]; findings: Finding[] }>;

  /** Notes that a test failover has come to a good end. One that comes late, after a newer test, changes nothing. */
  noteTest(input: {
    run: Omit<RunContext, 'generation'>;
    /** ISO 8601, UTC. */
    testedAt: string;
    rtoSeconds: number;
    /** Backups that its VMs booted from, by VM: what is known of these guests is noted as well. */
    recoveryPoints?: Record<string, string>;
    /** Lifeboat's version on the AWS proxy. */
    awsProxy?: string;
  }): Promise<void>;

  /**
   * Writes the evidence of the run that asks for it: what its history tells, and what it tells itself. A run has one document.
   * @returns undefined where the run did not come as far as its plan
   */
  writeEvidence(input: EvidenceEnd): Promise<WrittenEvidence | undefined>;
}
