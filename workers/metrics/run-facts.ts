import { type Client } from '@temporalio/client';
import { type ObjectStore } from '../../repository/objects/object-store';
import { publishedPlans } from '../../repository/plans/plans';
import { type WorkflowType } from '../../workflows/run/ids';
import {
  AWAITS_APPROVAL,
  NEEDS_ATTENTION,
  PAUSED,
  phaseAttribute,
  planAttribute,
} from '../../workflows/run/messages';
import { sample, type Sample } from './catalogue';
import { type Facts } from './facts';

/** Phases in which a run waits for a person, with what they are called in the metric. */
const REASONS: readonly (readonly [phase: string, reason: string])[] = [
  [NEEDS_ATTENTION, 'attention'],
  [AWAITS_APPROVAL, 'approval'],
  [PAUSED, 'paused'],
];
/** Milliseconds for one look: a server that does not answer must not keep the next look from it. */
const DEADLINE_MS = 20_000;
/** Plans asked for side by side: few, as Temporal's server has a failover to carry. */
const AT_ONCE = 4;
const REPLICATION: WorkflowType = 'replication';

/** What Temporal says of the plans' runs: which of them wait for a person, and when replication last succeeded. */
export function runFacts(store: ObjectStore): Facts {
  return {
    source: 'temporal',
    async look(temporal) {
      const plans = await publishedPlans(store);
      return temporal.withDeadline(Date.now() + DEADLINE_MS, async () => [
        ...(await waiting(temporal, plans)),
        ...(await successes(temporal, plans)),
      ]);
    },
  };
}

/** A plan of which nothing waits says so, by zeros: what is absent is not known. */
async function waiting({ workflow }: Client, plans: readonly string[]): Promise<Sample[]> {
  const phases = REASONS.map(([phase]) => quoted(phase)).join(', ');
  const counts = new Map<string, number>();
  const key = (plan: string, phase: string): string => JSON.stringify([plan, phase]);
  for await (const { typedSearchAttributes: of } of workflow.list({
    query: `ExecutionStatus = 'Running' AND ${phaseAttribute.name} IN (${phases})`,
  })) {
    const found = key(of.get(planAttribute) ?? '', of.get(phaseAttribute) ?? '');
    counts.set(found, (counts.get(found) ?? 0) + 1);
  }
  return plans.flatMap((plan) =>
    REASONS.map(([phase, reason]) =>
      sample('lifeboat_runs_waiting', { plan, reason }, counts.get(key(plan, phase)) ?? 0),
    ),
  );
}

/** Rounds that are still in the namespace's retention; a plan without one is not told of. */
async function successes({ workflow }: Client, plans: readonly string[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  const look = async (plan: string): Promise<void> => {
    const query =
      `WorkflowType = ${quoted(REPLICATION)} AND ExecutionStatus = 'Completed' ` +
      `AND ${planAttribute.name} = ${quoted(plan)}`;
    // The server lists what closed last first ("List Filters", Temporal documentation).
    for await (const { closeTime } of workflow.list({ query, pageSize: 1 })) {
      if (closeTime !== undefined)
        samples.push(
          sample('lifeboat_replication_success_timestamp_seconds', { plan }, closeTime.getTime() / 1000),
        );
      break;
    }
  };
  for (let n = 0; n < plans.length; n += AT_ONCE) await Promise.all(plans.slice(n, n + AT_ONCE).map(look));
  return samples;
}

/** Names of plans have no quotes (plan/names.ts); nothing else comes in here. */
const quoted = (text: string): string => `'${text}'`;
