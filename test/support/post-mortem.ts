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
    tell(`What was under way when "${test}" failed (logs: ${keptLogs(config)}):`);
    for (const part of [processes, runs, consoles, logs, keepLogs])
      // Whatever cannot be told does not keep the test's own failure from being told.
      await part(config, temporal).catch((error: unknown) => tell(`  ${part.name}: ${messageOf(error)}`));
  };
}

/** At once: what comes after it may hang, or fail. */
const tell = (line: string): void => void process.stderr.write(`${line}\n`);

const keptLogs = ({ directory }: SandboxConfig): string => `${directory}-failed`;

export function tellNoMore(): void {
  globalThis.lifeboatTestFailed = undefined;
}

async function processes(config: SandboxConfig): Promise<void> {
  for (const { name, pid, restarts } of await supervisorReport(config))
    tell(`  ${name}: pid ${pid ?? 'none'}, ${restarts} restarts`);
}

/** Of every workflow that is open: what it waits for, and what of it failed last. */
function runs(_: SandboxConfig, temporal: Client): Promise<void> {
  return temporal.withDeadline(Date.now() + DEADLINE_MS, async () => {
    for await (const run of temporal.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
      const { status } = (await look(temporal, run)).snapshot;
      tell(
        `  ${run.workflowId}: ${status === undefined ? 'its worker does not answer' : JSON.stringify(status)}`,
      );
      const handle = temporal.workflow.getHandle(run.workflowId, run.runId);
      const { pendingWorkflowTask: task, pendingActivities } = (await handle.describe()).raw;
      if (task) tell(`    workflow task: ${JSON.stringify(task)}`);
      for (const activity of pendingActivities ?? []) tell(`    activity: ${JSON.stringify(activity)}`);
      const { events } = await handle.fetchHistory();
      const last = (events ?? []).slice(-LAST_EVENTS).map(({ eventId, eventType, eventTime }) => {
        const at = new Date(Number(eventTime?.seconds ?? 0) * 1000).toISOString();
        return `${String(eventId)} ${String(eventType)} at ${at}`;
      });
      tell(`    history ends with ${last.join(', ')}`);
    }
  });
}

/** Of guests at both sites. */
async function consoleFiles({ directory }: SandboxConfig): Promise<string[]> {
  return (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name === 'console.log')
    .map((entry) => join(entry.parentPath, entry.name));
}

async function consoles(config: SandboxConfig): Promise<void> {
  for (const path of await consoleFiles(config)) {
    // Whatever a guest writes there: control sequences are none of a log's.
    const text = (await readFile(path, 'latin1')).replace(/[^\n\x20-\x7e]/g, '');
    tellLast(`  ${relative(config.directory, dirname(path))} shows at last`, text);
  }
}

async function logs(config: SandboxConfig): Promise<void> {
  for (const { name } of await supervisorReport(config))
    tellLast(
      `  ${name}.log ends with`,
      await readFile(join(sandboxPaths(config).logs, `${name}.log`), 'utf8'),
    );
}

function tellLast(heading: string, text: string): void {
  tell(heading);
  for (const line of text.trimEnd().split('\n').slice(-LAST_LINES)) tell(`    ${line}`);
}

async function keepLogs(config: SandboxConfig): Promise<void> {
  const kept = keptLogs(config);
  await rm(kept, { recursive: true, force: true });
  await cp(sandboxPaths(config).logs, kept, { recursive: true });
  for (const path of await consoleFiles(config)) await cp(path, join(kept, relative(config.directory, path)));
}
