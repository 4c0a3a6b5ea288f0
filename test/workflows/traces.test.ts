import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { temporal } from '@temporalio/proto';
import { DeterminismViolationError } from '@temporalio/workflow';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from '@temporalio/worker';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry';
import { Client } from '@temporalio/client';
import { AWS_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { type PlanState } from '../../plan/run';
import { workerTraces, type WorkerTraces } from '../../workers/traces';
import { plainPlan } from '../support/e2e-plan';
import { type FailoverSite, startFailoverSite } from '../support/failover-site';
import { OtlpReceiver } from '../support/otlp-receiver';
import { RUN } from '../support/run-context';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const SINKS = { exporter: { export: { fn: () => undefined } } };
const HISTORIES = join(__dirname, '../replay/histories/0.1.0');
/** Runs of several VMs, which have the most under way at a time. */
const RECORDED = [
  'failover',
  'failover.web',
  'failover-waiting',
  'failback',
  'failback.web',
  'restore-full',
  'verify',
  'check',
  'undo-failback',
  'failover-at',
];

const bundle = (workflows: string, interceptors: string[] = []): Promise<WorkflowBundle> =>
  bundleWorkflowCode({
    workflowsPath: require.resolve(workflows),
    workflowInterceptorModules: interceptors.map((module) => require.resolve(module)),
    logger: new DefaultLogger('ERROR'),
  });

/** @returns what was wrong, of each history */
async function replay(
  workflowBundle: WorkflowBundle,
  histories: { workflowId: string; history: unknown }[],
): Promise<(Error | undefined)[]> {
  const found: (Error | undefined)[] = [];
  for (const history of histories)
    for await (const { error } of Worker.runReplayHistories({ workflowBundle, sinks: SINKS }, [history]))
      found.push(error);
  return found;
}

describeWithTemporal('traces', () => {
  const server = temporalForTests();
  const environment = { ...process.env };
  let site: FailoverSite;
  let traced: WorkflowBundle;
  let plain: WorkflowBundle;

  beforeAll(async () => {
    site = await startFailoverSite();
    [traced, plain] = [
      await bundle('../../workflows', ['../../workflows/traces']),
      await bundle('../../workflows'),
    ];
  }, 120_000);
  afterAll(() => site.stop());
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name];
    Object.assign(process.env, environment);
  });

  /** Runs a verification of the plan, whose one child and activities do next to nothing. @returns its workflow ids */
  async function verify(traces: WorkerTraces | undefined): Promise<string[]> {
    const { nativeConnection: connection, connection: clientConnection } = server();
    const plan = plainPlan('shop', ['db']);
    const state: PlanState = {
      plan: 'shop',
      phase: 'protected',
      generation: 1,
      digest: RUN.digest,
      runId: 'r',
      updatedAt: '',
    };
    const disks = [{ key: 'system', sizeBytes: 1, slot: 0, boot: true, snapshotId: 'snap-1', volumeGiB: 1 }];
    const more = {
      ...{ connection, sinks: traces?.sinks ?? {} },
      interceptors: { activity: traces?.activity ?? [] },
    };
    const workers = [
      await Worker.create({
        ...more,
        ...{ taskQueue: CONTROL_QUEUE, workflowBundle: traces === undefined ? plain : traced },
        activities: {
          loadPlan: () => Promise.resolve({ digest: RUN.digest, plan, repository: RUN.repository, state }),
        },
      }),
      await Worker.create({
        ...more,
        taskQueue: AWS_PROXY_QUEUE,
        activities: {
          async readDrCopy() {
            await site.clients.ec2.send(new DescribeVolumesCommand({}));
            return { vm: 'db', recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks };
          },
        },
      }),
      await Worker.create({
        ...more,
        taskQueue: `${AWS_PROXY_QUEUE}-copy`,
        activities: { verifyDisk: () => Promise.resolve({ blocks: 1, bytes: 1 }) },
      }),
    ];
    const working = workers.map((one) => one.run());
    const client = new Client({
      connection: clientConnection,
      ...(traces === undefined
        ? {}
        : { interceptors: { workflow: [new OpenTelemetryWorkflowClientInterceptor()] } }),
    });
    try {
      const workflowId = 'lifeboat:shop:verify';
      await client.workflow.execute('verify', {
        workflowId,
        taskQueue: CONTROL_QUEUE,
        args: [{ plan: 'shop' }],
      });
      return [workflowId, `${workflowId}:db`];
    } finally {
      for (const one of workers) one.shutdown();
      await Promise.all(working);
    }
  }

  it('lead from who starts a run over its workflows and activities to calls of AWS; and a traced run goes on untraced', async () => {
    const receiver = await OtlpReceiver.start();
    try {
      process.env.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.endpoint;
      process.env.OTEL_RESOURCE_ATTRIBUTES = 'deployment.environment=test';
      const traces = workerTraces('control');
      const ids = await verify(traces);
      await traces.end();
      expect(receiver.problems).toEqual([]);
      const chain = [
        'StartWorkflow:verify',
        'RunWorkflow:verify',
        'StartChildWorkflow:verifyVm',
        'RunWorkflow:verifyVm',
        'StartActivity:readDrCopy',
        'RunActivity:readDrCopy',
        'ec2.DescribeVolumes',
      ].map((name) => receiver.one(name));
      expect(chain.map(({ parentSpanId }) => parentSpanId)).toEqual([
        '',
        ...chain.slice(0, -1).map(({ spanId }) => spanId),
      ]);
      expect(receiver.one('StartActivity:loadPlan').parentSpanId).toBe(chain[1]?.spanId);
      expect(receiver.one('RunActivity:verifyDisk').parentSpanId).toBe(
        receiver.one('StartActivity:verifyDisk').spanId,
      );
      expect(new Set(receiver.spans.map(({ traceId }) => traceId)).size).toBe(1);
      expect(new Set(receiver.spans.map(({ service }) => service))).toEqual(new Set(['lifeboat-control']));

      const histories = await Promise.all(
        ids.map(async (workflowId) => ({
          workflowId,
          history: await server().client.workflow.getHandle(workflowId).fetchHistory(),
        })),
      );
      expect(await replay(plain, histories)).toEqual([undefined, undefined]);
      expect(await replay(traced, histories)).toEqual([undefined, undefined]);
    } finally {
      await receiver.stop();
    }
  }, 60_000);

  it('that nobody takes hold no run up, and are told of once; without variables there are none', async () => {
    const away = await OtlpReceiver.start();
    const told: string[] = [];
    const log = jest.spyOn(console, 'error').mockImplementation((line: string) => void told.push(line));
    try {
      process.env.OTEL_EXPORTER_OTLP_ENDPOINT = away.endpoint;
      await away.stop();
      const traces = workerTraces('control');
      await verify(traces);
      const before = performance.now();
      await traces.end();
      expect(performance.now() - before).toBeLessThan(4000);
      expect(told.filter((line) => line.startsWith('Traces do not get'))).toHaveLength(1);
    } finally {
      log.mockRestore();
    }
    await verify(undefined);
  }, 60_000);

  it('may be switched on in the middle of a run, which those of the SDK as they are may not', async () => {
    const recorded = RECORDED.map((file) => {
      const bytes = gunzipSync(readFileSync(join(HISTORIES, `${file}.pb.gz`)));
      const history = temporal.api.history.v1.History.decode(bytes);
      const { workflowId = '' } = history.events[0]?.workflowExecutionStartedEventAttributes ?? {};
      return { workflowId: workflowId ?? '', history };
    });
    expect(await replay(traced, recorded)).toEqual(RECORDED.map(() => undefined));

    // A step and a timer that end while no control worker is there: both lines go on in one task.
    const [untraced, ours, theirs] = await Promise.all([
      bundle('./traces-workflows'),
      bundle('./traces-workflows', ['../../workflows/traces']),
      bundle('./traces-workflows', ['@temporalio/interceptors-opentelemetry/lib/workflow-interceptors']),
    ]);
    const { nativeConnection: connection, client } = server();
    const workflowId = 'step-and-timer';
    const run = await client.workflow.start('stepAndTimer', { workflowId, taskQueue: 'traces' });
    const happened = async (what: 'timerFiredEventAttributes' | 'timerStartedEventAttributes') =>
      (await run.fetchHistory()).events?.some((event) => event[what] != null) === true;
    const control = () =>
      Worker.create({
        connection,
        taskQueue: 'traces',
        workflowBundle: untraced,
        stickyQueueScheduleToStartTimeout: 100,
      });
    await (
      await control()
    ).runUntil(async () => {
      while (!(await happened('timerStartedEventAttributes')));
    });
    const steps = await Worker.create({
      ...{ connection, taskQueue: 'traces-steps' },
      activities: { step: () => Promise.resolve() },
    });
    const history = await steps.runUntil(async () => {
      while (!(await happened('timerFiredEventAttributes')));
      await (await control()).runUntil(run.result());
      return run.fetchHistory();
    });
    expect(await replay(ours, [{ workflowId, history }])).toEqual([undefined]);
    expect(await replay(theirs, [{ workflowId, history }])).toEqual([expect.any(DeterminismViolationError)]);
  }, 60_000);
});
