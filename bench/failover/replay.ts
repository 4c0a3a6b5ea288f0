import { join } from 'node:path';
import { type Client } from '@temporalio/client';
import { type temporal } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { projectRoot } from '../../host/project-root';
import { bundleName } from '../../workers/bundle-name';

/** What it costs a control worker to go on with a workflow that is not, or no longer, in its memory. */
export interface Replay {
  /** Seconds for the run's own workflow: what a workflow task may take is workflows/run/task-timeout.ts. */
  run: number;
  /** Seconds for one VM's child workflow, of these. */
  vm: number;
  vms: number;
}

type History = temporal.api.history.v1.IHistory;

/** Replays histories as they are at the end. */
export async function measureReplay(
  { workflow }: Client,
  run: { workflowId: string; history: History },
  vmWorkflowIds: readonly string[],
): Promise<Replay> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const ofVms = await Promise.all(
    vmWorkflowIds.map(async (workflowId) => ({
      workflowId,
      history: await workflow.getHandle(workflowId).fetchHistory(),
    })),
  );
  return {
    run: await replaySeconds([run]),
    vm: (await replaySeconds(ofVms)) / ofVms.length,
    vms: ofVms.length,
  };
}

/** Twice, of which the second time counts: in the first, code is compiled. */
async function replaySeconds(histories: { workflowId: string; history: History }[]): Promise<number> {
  const workflowBundle = { codePath: join(projectRoot(), 'dist', bundleName('usual')) };
  let from = 0;
  let to = 0;
  let seen = 0;
  for await (const { error } of Worker.runReplayHistories({ workflowBundle }, [...histories, ...histories])) {
    if (error !== undefined) throw error;
    to = performance.now();
    if (++seen === histories.length) from = to;
  }
  return (to - from) / 1000;
}
