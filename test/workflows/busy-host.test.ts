import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import {
  createProxyHostActivities,
  createPulseActivities,
} from '../../activities/aws-proxy/proxy-host/activities';
import { type OfferedHost } from '../../activities/aws-proxy/proxy-host/contract';
import {
  AWS_PROXY_QUEUE,
  awsProxyHostQueue,
  awsProxyPulseQueue,
  CONTROL_QUEUE,
} from '../../activities/task-queues';
import { type VmRestoreRequest, type VmRestoreResult } from '../../workflows/restore';
import { statusQuery } from '../../workflows/run/messages';
import { endRun } from '../support/end-run';
import { eventually } from '../support/eventually';
import { RUN } from '../support/run-context';
import { describeWithTemporal, startTemporal } from './local-temporal';

/** Looks at a run every time that something has to have happened. */
const SECONDS = 40;

const request = (vm: string): VmRestoreRequest => ({
  run: RUN,
  vm,
  copy: 'volume',
});

/**
 * Restores through volumes on a real Temporal server, by hosts that do one copy at a time. What AWS would be asked is only
 * noted: what counts is what is begun, where, and how often.
 */
describeWithTemporal('work on a host', () => {
  let server: TestWorkflowEnvironment;
  let control: Worker;
  let workflowBundle: WorkflowBundle;
  let controlling: Promise<void>;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await startTemporal();
    const pace = join(__dirname, '../../workflows/run/pace');
    workflowBundle = await bundleWorkflowCode({
      workflowsPath: require.resolve('./busy-host-workflows'),
      logger: new DefaultLogger('ERROR'),
      webpackConfigHook: (config) => ({
        ...config,
        resolve: {
          ...config.resolve,
          alias: { ...config.resolve?.alias, [pace]: require.resolve('./busy-host-pace') },
        },
      }),
    });
    control = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: CONTROL_QUEUE,
      workflowBundle,
      activities: { checkPlanState: () => Promise.resolve() },
    });
    controlling = control.run();
  }, 120_000);
  afterAll(async () => {
    control?.shutdown();
    await controlling;
    await server?.teardown();
  }, 30_000);

  /** What the runs of a test have asked for. */
  let created: { vm: string; attempt: number }[];
  let deleted: string[];
  let copied: { vm: string; on: string; volumeId: string }[];
  let pulses: number;
  /** VMs whose copies have begun, and do not end by themselves. */
  let endless: Set<string>;
  let began: string[];
  /** Hosts that are offered before those that answer: they died since. */
  let offered: OfferedHost[];
  let stops: (() => Promise<void>)[];
  let runs: WorkflowHandle[];

  beforeEach(() => {
    [created, deleted, copied, began, offered, stops, runs] = [[], [], [], [], [], [], []];
    pulses = 0;
    endless = new Set();
  });
  afterEach(async () => {
    endless.clear();
    for (const run of runs) await endRun(run);
    for (const stop of stops) await stop();
  }, 30_000);

  async function running(options: Parameters<typeof Worker.create>[0]): Promise<() => Promise<void>> {
    const worker = await Worker.create({
      ...options,
      connection: server.nativeConnection,
      shutdownGraceTime: 0,
      maxHeartbeatThrottleInterval: 100,
      defaultHeartbeatThrottleInterval: 100,
    });
    const working = worker.run();
    let stopped: Promise<void> | undefined;
    return () => {
      if (stopped === undefined) worker.shutdown();
      return (stopped ??= working);
    };
  }

  /** An AWS proxy with one slot for host work. @returns what kills it */
  async function proxy(instanceId: string): Promise<() => Promise<void>> {
    const host = createProxyHostActivities({ instanceId, availabilityZone: 'eu-central-1a' });
    const disk = { key: 'system', blocks: 1, extents: [], volumeGiB: 1 };
    const restore = { kind: 'full', recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [disk] };
    const workers = [
      await running({
        taskQueue: AWS_PROXY_QUEUE,
        activities: {
          proxyHost: async () => offered.shift() ?? host.proxyHost(),
          planRestore: async () => restore,
          async createCopyVolume({ vm, attempt }: { vm: string; attempt: number }) {
            created.push({ vm, attempt });
            return { volumeId: `vol-${vm}-${attempt}` };
          },
          async deleteVolume({ volumeId }: { volumeId: string }) {
            deleted.push(volumeId);
          },
          snapshotCopyVolume: async () => ({ snapshotId: 'snap-1' }),
          publishDrCopy: async () => undefined,
          deleteReplacedDrCopies: async () => ({ deleted: [] }),
          discardRestore: async () => ({ deleted: [] }),
        },
      }),
      await running({
        taskQueue: awsProxyHostQueue(instanceId),
        maxConcurrentActivityTaskExecutions: 1,
        activities: {
          async copyToVolume({ vm, volumeId }: { vm: string; volumeId: string }) {
            began.push(vm);
            for (;;) {
              Context.current().heartbeat();
              if (!endless.has(vm)) break;
              await Context.current().sleep(50);
            }
            copied.push({ vm, on: instanceId, volumeId });
            return { blocks: 1, bytes: 1, blocksSentAgain: 0, seconds: 1 };
          },
        },
      }),
      await running({
        taskQueue: awsProxyPulseQueue(instanceId),
        activities: {
          answerPulse: () => {
            pulses++;
            return createPulseActivities().answerPulse();
          },
        },
      }),
    ];
    const kill = async (): Promise<void> => void (await Promise.all(workers.map((stop) => stop())));
    stops.push(kill);
    return kill;
  }

  async function start(workflow: 'restoreVm' | 'restoreOne', vm: string): Promise<WorkflowHandle> {
    const workflowId = `${vm}-${began.length}-${Date.now()}`;
    const run = await server.client.workflow.start(workflow, {
      workflowId,
      taskQueue: CONTROL_QUEUE,
      args: [request(vm)],
    });
    runs.push(run);
    return run;
  }

  /** A VM whose copy takes the host's only slot until the test ends it. */
  async function occupy(): Promise<WorkflowHandle> {
    endless.add('db');
    const run = await start('restoreVm', 'db');
    await eventually(SECONDS, async () => (began.includes('db') ? true : undefined), 0.05);
    return run;
  }

  const ended = async (run: WorkflowHandle): Promise<boolean> =>
    (await run.describe()).status.name !== 'RUNNING';
  const untilPulses = (count: number, run: WorkflowHandle): Promise<true> =>
    eventually(SECONDS, async () => (pulses >= count || (await ended(run)) ? true : undefined), 0.1);

  it('waits for its turn for as long as the host answers, and nothing is begun anew', async () => {
    await proxy('i-a');
    const db = await occupy();
    const web = await start('restoreOne', 'web');
    await untilPulses(3, web);
    expect(await ended(web)).toBe(false);
    expect((await web.query(statusQuery)).vms).toMatchObject([
      {
        phase: 'copying (full)',
        trouble: expect.stringMatching(/in the queue of the AWS proxy i-a, which is busy/),
      },
    ]);

    endless.clear();
    const { disks } = (await web.result()) as VmRestoreResult;
    expect(disks).toMatchObject([{ key: 'system', blocks: 1 }]);
    await db.result();
    expect(created.filter(({ vm }) => vm === 'web')).toEqual([{ vm: 'web', attempt: 1 }]);
    expect(copied.filter(({ vm }) => vm === 'web')).toEqual([
      { vm: 'web', on: 'i-a', volumeId: 'vol-web-1' },
    ]);
    expect(deleted.filter((volumeId) => volumeId.includes('web'))).toEqual(['vol-web-1']);

    // A control worker that takes it over meanwhile finds the same way.
    const workflowId = `${web.workflowId}:web`;
    const history = await server.client.workflow.getHandle(workflowId).fetchHistory();
    await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
  }, 120_000);

  it.each([
    ['that is gone', awsProxyPulseQueue('i-gone')],
    ['that is gone, and of a release that cannot be asked', undefined],
  ])(
    'begins again on another host instead of one %s',
    async (_, pulseQueue) => {
      offered = [
        { taskQueue: awsProxyHostQueue('i-gone'), pulseQueue, instanceId: 'i-gone', availabilityZone: 'z' },
      ];
      await proxy('i-a');
      await (await start('restoreVm', 'web')).result();
      expect(created.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(copied).toEqual([{ vm: 'web', on: 'i-a', volumeId: 'vol-web-2' }]);
      expect(deleted).toEqual(['vol-web-1', 'vol-web-2']);
    },
    120_000,
  );

  it('gives up after three hosts that are gone, and says which does not answer', async () => {
    offered = ['i-1', 'i-2', 'i-3'].map((instanceId) => ({
      taskQueue: awsProxyHostQueue(instanceId),
      pulseQueue: awsProxyPulseQueue(instanceId),
      instanceId,
      availabilityZone: 'z',
    }));
    await proxy('i-a');
    const failure = await (await start('restoreVm', 'web')).result().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    expect((failure as WorkflowFailedError).cause?.message).toMatch(
      /^The AWS proxy i-3 does not answer any more/,
    );
    expect(copied).toEqual([]);
    expect(deleted).toEqual(['vol-web-1', 'vol-web-2', 'vol-web-3']);
  }, 120_000);

  it('begins again on another host when the one that it waits for dies', async () => {
    const kill = await proxy('i-a');
    await occupy();
    const web = await start('restoreVm', 'web');
    await untilPulses(1, web);
    await kill();
    await proxy('i-b');
    await web.result();
    expect(created.filter(({ vm }) => vm === 'web').map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(copied.filter(({ vm }) => vm === 'web')).toEqual([
      { vm: 'web', on: 'i-b', volumeId: 'vol-web-2' },
    ]);
    expect(deleted.filter((volumeId) => volumeId.includes('web'))).toEqual(['vol-web-1', 'vol-web-2']);
  }, 120_000);

  it('that waits ends at once when its run is cancelled', async () => {
    await proxy('i-a');
    const db = await occupy();
    const web = await start('restoreVm', 'web');
    await untilPulses(2, web);
    await web.cancel();
    const failure = await web.result().catch((error: unknown) => error);
    expect((failure as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    // The host is as busy as before.
    expect(await ended(db)).toBe(false);
    expect(deleted).toEqual(['vol-web-1']);
    endless.clear();
    await db.result();
    expect(began).toEqual(['db']);
  }, 120_000);
});
