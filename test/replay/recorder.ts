import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { temporal } from '@temporalio/proto';
import { RunFailedError } from '../../client/errors';
import { type LifeboatRun } from '../../client/run';
import { runOfWorkflow } from '../../workflows/run/ids';
import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { untilVmsWait } from '../support/attention';
import { type E2eSandbox } from '../support/e2e-sandbox';

export const VMS = ['db', 'web'];

export interface Scenario {
  fault?: FaultRule['fault'];
  operations?: string[];
  times?: number;
  cancelAfterMs?: number;
  fails?: boolean;
  /** Mends the fault when so many VMs wait for it, and tells the run to go on. */
  mendWhenWaiting?: number;
}

/** Runs scenarios in a sandbox, and keeps their histories. */
export class Recorder {
  constructor(
    private readonly sandbox: E2eSandbox,
    private readonly directory: string,
    private readonly plan: string,
  ) {}

  /** @returns the error with which it ended; undefined where it completed */
  async record(
    scenario: string,
    start: () => Promise<LifeboatRun>,
    { fault, operations, times, cancelAfterMs, mendWhenWaiting, fails = false }: Scenario = {},
  ): Promise<RunFailedError | undefined> {
    const { sandbox } = this;
    if (fault !== undefined) await sandbox.breakAws({ name: scenario, operations, times, fault });
    const run = await start();
    if (cancelAfterMs !== undefined)
      setTimeout(
        () => void run.handle.cancel().catch((error: unknown) => console.error(error)),
        cancelAfterMs,
      );
    if (mendWhenWaiting !== undefined) {
      await untilVmsWait(sandbox.client, run, mendWhenWaiting);
      await sandbox.mendAws();
      await sandbox.client.retry(this.plan);
    }
    const failed = await run.result().then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof RunFailedError) return error;
        throw error;
      },
    );
    if ((failed !== undefined) !== fails)
      throw new Error(`${scenario} ${failed === undefined ? 'did not fail' : `failed: ${failed.message}`}.`);
    await sandbox.mendAws();
    await this.save(scenario, run);
    return failed;
  }

  /** Workflows of one scenario: the run, and its children. */
  private async save(scenario: string, run: LifeboatRun): Promise<void> {
    const found = await this.write(scenario, run.workflowId, run.runId);
    const names = new Set<string>();
    for (const child of childrenOf(found)) {
      const name = runOfWorkflow(child.workflowId).vm ?? child.workflowId.split(':').at(-1) ?? '';
      // A VM whose recovery point is copied first has two, one after the other.
      const own = names.has(name) ? `${name}-2` : name;
      names.add(own);
      await this.write(`${scenario}.${own}`, child.workflowId, child.runId);
    }
  }

  private async write(name: string, workflowId: string, runId: string) {
    const found = await this.sandbox.client.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    withoutStacks(found);
    const bytes = temporal.api.history.v1.History.encode(found).finish();
    await writeFile(join(this.directory, `${name}.pb.gz`), gzipSync(bytes, { level: 9 }));
    console.log(`${name}: ${found.events?.length ?? 0} events`);
    return found;
  }
}

function childrenOf({ events }: temporal.api.history.v1.IHistory): { workflowId: string; runId: string }[] {
  return (events ?? []).flatMap(({ childWorkflowExecutionStartedEventAttributes: started }) => {
    const { workflowId, runId } = started?.workflowExecution ?? {};
    return workflowId && runId ? [{ workflowId, runId }] : [];
  });
}

/** Takes the stacks out of failures: where the code lay on this machine is of no use in another place. */
function withoutStacks(part: unknown): void {
  if (typeof part !== 'object' || part === null || part instanceof Uint8Array) return;
  for (const [name, value] of Object.entries(part))
    if (name === 'stackTrace') Object.assign(part, { stackTrace: '' });
    else withoutStacks(value);
}
