import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { temporal } from '@temporalio/proto';
import { DeterminismViolationError } from '@temporalio/workflow';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';

const HISTORIES = join(__dirname, 'histories');
/** One for each version whose runs may still be under way somewhere. */
const versions = readdirSync(HISTORIES);

interface Recorded {
  scenario: string;
  /** As the run had it: ids of children are made of it. */
  workflowId: string;
  history: temporal.api.history.v1.History;
}

function recorded(version: string): Recorded[] {
  return readdirSync(join(HISTORIES, version))
    .sort()
    .map((file) => {
      const bytes = gunzipSync(readFileSync(join(HISTORIES, version, file)));
      const history = temporal.api.history.v1.History.decode(bytes);
      const workflowId = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowId;
      if (!workflowId) throw new Error(`${file} does not say whose history it is.`);
      return { scenario: file.replace('.pb.gz', ''), workflowId, history };
    });
}

async function bundle(replacements: Record<string, string> = {}): Promise<WorkflowBundle> {
  return bundleWorkflowCode({
    workflowsPath: require.resolve('../../workflows/index'),
    logger: new DefaultLogger('ERROR'),
    webpackConfigHook: (config) => ({
      ...config,
      resolve: { ...config.resolve, alias: { ...config.resolve?.alias, ...replacements } },
    }),
  });
}

/** @returns scenarios that could not be gone on with, and why */
async function replay(version: string, workflowBundle: WorkflowBundle): Promise<Map<string, Error>> {
  const broken = new Map<string, Error>();
  // One after another: several may have the same workflow id.
  for (const { scenario, workflowId, history } of recorded(version))
    for await (const { error } of Worker.runReplayHistories({ workflowBundle }, [{ workflowId, history }]))
      if (error !== undefined) broken.set(scenario, error);
  return broken;
}

beforeAll(() => Runtime.install({ logger: new DefaultLogger('ERROR') }));

describe.each(versions)('runs that version %s began', (version) => {
  it('are gone on with by the present code, whatever they were doing', async () => {
    expect(recorded(version).length).toBeGreaterThan(30);
    expect(await replay(version, await bundle())).toEqual(new Map());
  }, 120_000);

  it('are not gone on with by code that has another step in it, and only those of the changed workflow', async () => {
    const changed = await bundle({
      [join(__dirname, '../../workflows/commit')]: require.resolve('./changed-commit'),
    });
    const broken = await replay(version, changed);
    expect([...broken.keys()]).toEqual(['commit']);
    expect(broken.get('commit')).toBeInstanceOf(DeterminismViolationError);
  }, 120_000);
});
