import { type Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import { readableFailure } from '../activities/readable-failure';
import { byDisk, type CopyProgress, isCopyProgress, wholeDisk } from '../blocks/progress';
import { type RunStatus } from '../workflows/run/messages';
import { WireError } from '../wire/wire-error';
import { type LifeboatRun } from './run';

/** What a run is doing at one moment. */
export interface RunSnapshot {
  /** The run's own account; undefined while no control worker answers. */
  status: RunStatus | undefined;
  /** Block copies under way in the run and its children, one a disk. */
  copies: CopyProgress[];
  /** Activities that failed at least once and are tried again: what a person would want to know of while waiting. */
  retries: { step: string; attempt: number; message: string }[];
  running: boolean;
}

/** Milliseconds that a query waits for a worker. A cached workflow answers in a few. */
const QUERY_DEADLINE_MS = 3000;
/** Milliseconds between two looks at a run, for each workflow looked at: the server's CPU is the bottleneck. */
const PACE_PER_WORKFLOW_MS = 150;
/** The least time between two looks. Heartbeats do not come more often. */
const SHORTEST_PACE_MS = 1000;
/** Children deep: replication → backup → one VM. */
const MAX_DEPTH = 3;

/**
 * Looks at a run until it has ended, or until `signal` is aborted. A server that does not answer ends it, too: ask
 * {@link LifeboatRun.result} for the end of the run.
 */
export async function* watchRun(
  temporal: Client,
  run: Pick<LifeboatRun, 'workflowId' | 'runId'>,
  signal?: AbortSignal,
): AsyncGenerator<RunSnapshot> {
  while (signal?.aborted !== true) {
    const { snapshot, workflows } = await look(temporal, run);
    yield snapshot;
    if (!snapshot.running) return;
    await pause(Math.max(SHORTEST_PACE_MS, workflows * PACE_PER_WORKFLOW_MS), signal);
  }
}

/** One look at a run. `workflows` is how many had to be asked. */
export async function look(
  temporal: Client,
  run: Pick<LifeboatRun, 'workflowId' | 'runId'>,
): Promise<{ snapshot: RunSnapshot; workflows: number }> {
  const [status, activities] = await Promise.all([
    queryStatus(temporal, run),
    pendingActivities(temporal, run, 0),
  ]);
  const { copies, retries, workflows, running } = activities;
  return { snapshot: { status, copies: byDisk(copies).map(wholeDisk), retries, running }, workflows };
}

async function queryStatus(
  temporal: Client,
  { workflowId, runId }: Pick<LifeboatRun, 'workflowId' | 'runId'>,
): Promise<RunStatus | undefined> {
  try {
    return await temporal.connection.withDeadline(Date.now() + QUERY_DEADLINE_MS, () =>
      temporal.workflow.getHandle(workflowId, runId).query<RunStatus>('status'),
    );
  } catch (error) {
    if (error instanceof WireError) throw error;
    // No worker answers, or the run has not made its first step: to a watcher both mean that nothing is known yet.
    // What is wrong for good shows in the run's result.
    return undefined;
  }
}

interface Activities {
  copies: CopyProgress[];
  retries: RunSnapshot['retries'];
  workflows: number;
  running: boolean;
}

async function pendingActivities(
  temporal: Client,
  { workflowId, runId }: { workflowId: string; runId?: string },
  depth: number,
): Promise<Activities> {
  const { raw, status } = await temporal.workflow.getHandle(workflowId, runId).describe();
  const found: Activities = { copies: [], retries: [], workflows: 1, running: status.name === 'RUNNING' };
  for (const activity of raw.pendingActivities ?? []) {
    const [details] = await decodeArrayFromPayloads(
      temporal.options.loadedDataConverter,
      activity.heartbeatDetails?.payloads,
    );
    if (isCopyProgress(details)) found.copies.push(details);
    const failure = activity.lastFailure;
    const message = failure && (await readableFailure(temporal.options.loadedDataConverter, failure)).message;
    if (typeof message === 'string' && message !== '')
      found.retries.push({
        step: activity.activityType?.name ?? 'activity',
        attempt: activity.attempt ?? 1,
        message,
      });
  }
  const children = depth < MAX_DEPTH ? (raw.pendingChildren ?? []) : [];
  // One after the other: a watcher must not compete with the run for the server.
  for (const child of children) {
    if (typeof child.workflowId !== 'string' || child.workflowId === '' || !child.runId) continue;
    const below = await pendingActivities(
      temporal,
      { workflowId: child.workflowId, runId: child.runId },
      depth + 1,
    );
    found.copies.push(...below.copies);
    found.retries.push(...below.retries);
    found.workflows += below.workflows;
  }
  return found;
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
