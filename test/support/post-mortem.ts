import { type Client } from '@temporalio/client';
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { messageOf } from '../../host/message-of';
import { type SandboxConfig } from '../../sandbox/config';
import { sandboxPaths } from '../../sandbox/supervisor/processes';
import { supervisorReport } from '../../sandbox/supervisor/report';
import { look } from '../../client/progress';

/** Of each process's log, and each guest's console; what a build keeps of its output is bounded. */
const LAST_LINES = 12;
/** Of each run's history. */
const LAST_EVENTS = 6;
/** A server that hangs does not keep what else there is to tell. */
const DEADLINE_MS = 10_000;

declare global {
  /** Called by `test/told-failures.cjs` while the failed test's world still stands. */
  var lifeboatTestFailed: ((test: string) => Promise<void>) | undefined;
}

/** From now on a failing test of this file tells on stderr what its sandbox was about, and keeps the logs beside the sandbox. */
export function tellAtFailure(config: SandboxConfig, temporal: Client): void {
  globalThis.lifeboatTestFailed = async (test) => {
    const kept = `${config.directory}-failed`;
    process.stderr.write(`What was under way when "${test}" failed (logs: ${kept}):\n`);
    for (const part of [processes, runs, consoles, logs, keepLogs]) {
      // Whatever cannot be told does not keep the test's own failure from being told.
      const lines = await part(config, temporal).catch((error: unknown) => [
        `  ${part.name}: ${messageOf(error)}`,
      ]);
      process.stderr.write(lines.map((line) => `${line}\n`).join(''));
    }
  };
}

export function tellNoMore(): void {
  globalThis.lifeboatTestFailed = undefined;
}

async function processes(config: SandboxConfig): Promise<string[]> {
  return (await supervisorReport(config)).map(
    ({ name, pid, restarts }) => `  ${name}: pid ${pid ?? 'none'}, ${restarts} restarts`,
  );
}

/** Of every workflow that is open: what it waits for, and what of it failed last. */
function runs(_: SandboxConfig, temporal: Client): Promise<string[]> {
  return temporal.withDeadline(Date.now() + DEADLINE_MS, async () => {
    const lines: string[] = [];
    for await (const run of temporal.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
      const { status } = (await look(temporal, run)).snapshot;
      lines.push(
        `  ${run.workflowId}: ${status === undefined ? 'its worker does not answer' : JSON.stringify(status)}`,
      );
      const { raw } = await temporal.workflow.getHandle(run.workflowId, run.runId).describe();
      const { pendingWorkflowTask: task, pendingActivities = [] } = raw;
      if (task) lines.push(`    workflow task: ${JSON.stringify(task)}`);
      for (const activity of pendingActivities ?? []) lines.push(`    activity: ${JSON.stringify(activity)}`);
      lines.push(`    history ends with ${(await lastEvents(temporal, run)).join(', ')}`);
    }
    return lines;
  });
}

async function lastEvents(temporal: Client, run: { workflowId: string; runId: string }): Promise<string[]> {
  const { events } = await temporal.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
  return (events ?? []).slice(-LAST_EVENTS).map(({ eventId, eventType, eventTime }) => {
    const at = new Date(Number(eventTime?.seconds ?? 0) * 1000).toISOString();
    return `${String(eventId)} ${String(eventType)} at ${at}`;
  });
}

/** Of guests at both sites. */
async function consoleFiles({ directory }: SandboxConfig): Promise<string[]> {
  return (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name === 'console.log')
    .map((entry) => join(entry.parentPath, entry.name));
}

async function consoles(config: SandboxConfig): Promise<string[]> {
  const lines: string[] = [];
  for (const path of await consoleFiles(config)) {
    // Whatever a guest writes there: control sequences are none of a log's.
    const text = (await readFile(path, 'latin1')).replace(/[^\n\x20-\x7e]/g, '');
    lines.push(`  ${relative(config.directory, dirname(path))} shows at last`, ...lastLines(text));
  }
  return lines;
}

const lastLines = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .slice(-LAST_LINES)
    .map((line) => `    ${line}`);

async function logs(config: SandboxConfig): Promise<string[]> {
  const lines: string[] = [];
  for (const { name } of await supervisorReport(config)) {
    const text = await readFile(join(sandboxPaths(config).logs, `${name}.log`), 'utf8');
    lines.push(`  ${name}.log ends with`, ...lastLines(text));
  }
  return lines;
}

async function keepLogs(config: SandboxConfig): Promise<string[]> {
  const kept = `${config.directory}-failed`;
  await rm(kept, { recursive: true, force: true });
  await cp(sandboxPaths(config).logs, kept, { recursive: true });
  for (const path of await consoleFiles(config)) await cp(path, join(kept, relative(config.directory, path)));
  return [];
}
