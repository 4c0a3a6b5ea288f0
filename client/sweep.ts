import { type EC2Client } from '@aws-sdk/client-ec2';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import {
  findLeftovers,
  type Leftover,
  type Needs,
  removeLeftovers,
} from '../activities/aws-proxy/account/leftovers';
import { type LockedLeftover, withoutLocked } from '../activities/aws-proxy/account/locked-leftovers';
import { type ObjectStore } from '../repository/objects/object-store';
import { readPlanState } from '../repository/plans/plan-state';
import { workflowId, type WorkflowType } from '../workflows/run/ids';

/**
 * Minutes for which what was made is left alone. A run that Temporal has forgotten may still have an activity under
 * way on a worker, and one of another Temporal server is not seen from here; both are long noticed by then.
 */
export const SWEEP_AGE_MINUTES = 60;

/** Who may need what, and what nobody does. */
export interface SweepPlan {
  needs: Needs;
  leftovers: Leftover[];
  /** What nobody needs either, and goes with a sweep, or a restore, after its lock has ended. */
  locked: LockedLeftover[];
}

export interface SweepSite {
  ec2: EC2Client;
  store: ObjectStore;
  temporal: Client;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

/** Runs that make things in the account, by the parts of their workflow ids. */
const MAKERS: [type: WorkflowType, mode?: 'test'][] = [
  ['restore'],
  ['replication'],
  ['failover'],
  ['failover', 'test'],
  ['failback'],
  ['commit'],
];

/**
 * Finds what Lifeboat made for the plan and nobody needs. Changes nothing.
 * @throws where Temporal does not answer: without it, nothing says which runs are under way
 */
export async function planSweep(
  plan: string,
  { ec2, store, temporal }: SweepSite,
  ageMinutes = SWEEP_AGE_MINUTES,
  { keptTests = false }: { keptTests?: boolean } = {},
): Promise<SweepPlan> {
  // Before the account: a run that begins later has made nothing that is listed and old.
  const madeBefore = new Date(Date.now() - ageMinutes * 60_000);
  const liveRuns = await runsUnderWay(temporal, plan);
  const state = await readPlanState(store, plan);
  const needs = {
    plan,
    phase: state?.phase ?? ('none' as const),
    holder: state?.runId,
    liveRuns,
    madeBefore,
    keptTests,
  };
  return { needs, ...(await withoutLocked(ec2, await findLeftovers(ec2, needs))) };
}

/** Removes what {@link planSweep} found, as far as it still is a leftover. @returns ids, sorted */
export async function sweep(
  { needs, leftovers }: SweepPlan,
  { ec2, store, temporal, pollSeconds }: SweepSite,
): Promise<string[]> {
  // A person may have looked at the list for long.
  const state = await readPlanState(store, needs.plan);
  const liveRuns = await runsUnderWay(temporal, needs.plan);
  const now = { ...needs, phase: state?.phase ?? ('none' as const), holder: state?.runId, liveRuns };
  return removeLeftovers(ec2, now, new Set(leftovers.map(({ id }) => id)), {
    ...(pollSeconds === undefined ? {} : { pollSeconds }),
  });
}

/** Ids of the plan's runs under way. Asked for one by one: Temporal's lists are late. */
async function runsUnderWay(temporal: Client, plan: string): Promise<Set<string>> {
  const live = new Set<string>();
  for (const [type, mode] of MAKERS)
    try {
      const { runId, status } = await temporal.workflow.getHandle(workflowId(plan, type, mode)).describe();
      if (status.name === 'RUNNING') live.add(runId);
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  return live;
}
