import { setTimeout as sleep } from 'node:timers/promises';
import { type DrPlan } from '../../plan/schema';
import { readRequestCounts, type RequestCounts } from '../../sandbox/aws/request-counts';
import { sandboxPaths } from '../../sandbox/supervisor/processes';
import { childWorkflowId } from '../../workflows/run/ids';
import { type Account } from './account';
import { type MeasuredProcess, type ProcessUsage, watchProcesses } from './processes';
import { measureReplay, type Replay } from './replay';

/** Milliseconds after which the endpoint has written all counts down. */
const COUNTS_WRITTEN_MS = 1000;

/** VMs whose workflows are replayed when all is over. */
const REPLAYED_VMS = 20;

/** One failover, and what it took. */
export interface MeasuredFailover {
  vms: number;
  wallSeconds: number;
  /** VMs by what launched them. */
  launchedBy: Record<string, number>;
  /** Requests by bucket. */
  calls: RequestCounts;
  processes: Record<MeasuredProcess, ProcessUsage>;
  /** The run's own workflow: events of its history, bytes of it, signals in it. */
  parent: { events: number; bytes: number; signals: number };
  replay: Replay;
}

/** Fails a plan over. @throws RunFailedError where it does not complete */
export async function measureFailover(
  { config, client }: Account,
  published: { plan: string; digest: string },
  plan: DrPlan,
): Promise<MeasuredFailover> {
  const { aws } = sandboxPaths(config);
  await sleep(COUNTS_WRITTEN_MS);
  const before = readRequestCounts(aws);
  const usage = await watchProcesses(config);
  const started = performance.now();
  const run = await client.failover({ ...published, mode: 'disaster', onFailure: 'undo' });
  const { vms } = await run.result();
  const wallSeconds = (performance.now() - started) / 1000;
  const processes = await usage();
  await sleep(COUNTS_WRITTEN_MS);
  const calls = difference(before, readRequestCounts(aws));

  const handle = client.temporal.workflow.getHandle(run.workflowId, run.runId);
  const { historyLength: events, historySize: bytes = 0 } = await handle.describe();
  const whole = await handle.fetchHistory();
  const { events: history } = whole;
  const isSignal = ({
    workflowExecutionSignaledEventAttributes: signal,
  }: {
    workflowExecutionSignaledEventAttributes?: unknown;
  }) => signal !== undefined && signal !== null;
  const signals = (history ?? []).filter(isSignal).length;
  const replay = await measureReplay(
    client.temporal,
    { workflowId: run.workflowId, history: whole },
    vms.slice(-REPLAYED_VMS).map(({ vm }) => childWorkflowId(run.workflowId, vm)),
  );
  const launchedBy: Record<string, number> = {};
  for (const { launchedBy: by = 'volumes' } of vms) launchedBy[by] = (launchedBy[by] ?? 0) + 1;
  return {
    vms: plan.vms.length,
    wallSeconds,
    launchedBy,
    calls,
    processes,
    parent: { events, bytes, signals },
    replay,
  };
}

function difference(before: RequestCounts, after: RequestCounts): RequestCounts {
  const counts = Object.entries(after).map(([name, { admitted, refused }]) => [
    name,
    {
      admitted: admitted - (before[name]?.admitted ?? 0),
      refused: refused - (before[name]?.refused ?? 0),
    },
  ]);
  return Object.fromEntries(counts) as RequestCounts;
}
