import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { registerSearchAttributes } from '../../workers/search-attributes';
import { productBundle } from './product-bundle';

/** The Temporal CLI, whose dev server is the real server: TEMPORAL_CLI, else the project's own, else that on PATH. */
export function temporalCli(): string | undefined {
  const own = path.resolve(__dirname, '../../.lifeboat/tools/python/bin/temporal');
  for (const candidate of [process.env.TEMPORAL_CLI, own])
    if (candidate && existsSync(candidate)) return candidate;
  try {
    return execFileSync('which', ['temporal'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Tests on a real Temporal server: skipped, and counted so, where its CLI is not there. */
export const describeWithTemporal = temporalCli() === undefined ? describe.skip : describe;

/** A dev server for all tests of the present block; of the SDK's log, errors are shown. @returns what gives it to a test */
export function temporalForTests(): () => TestWorkflowEnvironment {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await startTemporal();
  }, 120_000);
  afterAll(() => server.teardown(), 30_000);
  return () => server;
}

/** A dev server, in memory where no file is given for its database, that knows Lifeboat's search attributes; with `ui`, its Web UI is at its port plus 1000. To be torn down. */
export async function startTemporal({
  ui = false,
  dbFilename,
  extraArgs = [],
}: { ui?: boolean; dbFilename?: string; extraArgs?: string[] } = {}): Promise<TestWorkflowEnvironment> {
  const executable = { type: 'existing-path', path: temporalCli() ?? 'temporal' } as const;
  const server = await TestWorkflowEnvironment.createLocal({
    server: { executable, ip: '127.0.0.1', ui, dbFilename, extraArgs },
  });
  await registerSearchAttributes(server.connection, server.namespace ?? 'default');
  return server;
}

/** Runs workers of the product's workflows and of these activities, by their task queue. @returns what ends them */
export async function runWorkers(
  connection: TestWorkflowEnvironment['nativeConnection'],
  activitiesOf: Record<string, object>,
): Promise<() => Promise<void>> {
  const workers = [
    await Worker.create({
      connection,
      taskQueue: CONTROL_QUEUE,
      workflowBundle: await productBundle(),
      activities: {},
    }),
  ];
  for (const [taskQueue, activities] of Object.entries(activitiesOf))
    workers.push(await Worker.create({ connection, taskQueue, activities }));
  const working = workers.map((worker) => worker.run());
  return async () => {
    for (const worker of workers) worker.shutdown();
    await Promise.all(working);
  };
}
