import { temporal } from '@temporalio/proto';
import { type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { createNoticeActivities } from '../../activities/control/notices/activities';
import { CONTROL_QUEUE, NOTICE_QUEUE } from '../../activities/task-queues';
import { type DrPlan } from '../../plan/schema';
import { type FailoverRequest } from '../../workflows/failover';
import { type NotifySummary } from '../../workflows/notify';
import { noticeWorkflowId } from '../../workflows/run/ids';
import { type RunStatus } from '../../workflows/run/messages';
import { eventually } from '../support/eventually';
import { WEBHOOK_SECRET, WebhookReceiver } from '../support/webhook-receiver';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

const DISASTER: FailoverRequest = { plan: 'shop', mode: 'disaster' };
const CONSOLE = 'root password: hunter2';

/** On a real Temporal server, to a real receiver; what AWS would be asked is only noted. */
describeWithTemporal('people are told', () => {
  const receiver = new WebhookReceiver();
  let endWorker: () => Promise<void>;
  // Hooks run in this order, and the worker ends before its server.
  afterAll(async () => {
    await endWorker();
    await receiver.down();
  }, 60_000);
  const server = temporalForTests();

  beforeAll(async () => {
    await receiver.up();
    const { nativeConnection: connection } = server();
    const secrets = { file: undefined, env: { LIFEBOAT_WEBHOOK_SECRET_OPS: WEBHOOK_SECRET } };
    const activities = createNoticeActivities({
      secrets,
      sns: () => {
        throw new Error('No plan here has a topic.');
      },
    });
    const worker = await Worker.create({ connection, taskQueue: NOTICE_QUEUE, activities });
    const working = worker.run();
    endWorker = async () => {
      worker.shutdown();
      await working;
    };
  }, 120_000);
  beforeEach(async () => {
    await receiver.down();
    receiver.calls.length = 0;
    await receiver.up();
  });

  function told(changes: Partial<DrPlan> = {}): DrPlan {
    return {
      ...dependent(['db', 'web'], {}),
      notify: [{ webhook: { url: receiver.url, secret: 'ops' } }],
      ...changes,
    };
  }

  /** A run, and how it is replayed: a worker that has lost it all would come to the same. */
  async function run(
    of: DrPlan,
    answers: Answers = {},
    meanwhile: (run: WorkflowHandle) => Promise<unknown> = () => Promise.resolve(),
    request: FailoverRequest = DISASTER,
    type: 'failover' | 'replication' = 'failover',
  ) {
    let workflow: WorkflowHandle | undefined;
    const result = await failOverOn(server(), request, answers, {
      ...{ of, type },
      meanwhile: (handle) => {
        workflow = handle;
        return meanwhile(handle);
      },
    });
    const history = (await workflow?.fetchHistory()) ?? {};
    await Worker.runReplayHistory({ workflowBundle: await productBundle() }, history, workflow?.workflowId);
    return { ...result, history, runId: (await workflow?.describe())?.runId ?? '' };
  }
  /** Deliveries go on when the run, and its workers, have ended: by the next control worker. */
  async function goingOn<T>(work: () => Promise<T>): Promise<T> {
    const { nativeConnection: connection } = server();
    const worker = await Worker.create({
      ...{ connection, taskQueue: CONTROL_QUEUE, workflowBundle: await productBundle() },
    });
    return worker.runUntil(work);
  }
  const received = (count: number) =>
    goingOn(() =>
      eventually(60, () => Promise.resolve(receiver.calls.length >= count ? receiver.received : undefined)),
    );
  const until = (workflow: WorkflowHandle, wanted: (status: RunStatus) => boolean) =>
    eventually(30, async () => (wanted(await workflow.query<RunStatus>('status')) ? true : undefined));
  const needsAttention = ({ needsAttention: needs }: RunStatus): boolean => needs;
  const failing = () => {
    throw ApplicationFailure.nonRetryable(`It does not boot. The console's end:\n${CONSOLE}`, 'NotReady');
  };

  it('a receiver that is down gets everything once it is up, once each, and the run does not wait for it', async () => {
    await receiver.down();
    let broken = true;
    const { outcome, history, runId } = await run(
      told(),
      { 'startInstance web': () => (broken ? failing() : undefined) },
      async (workflow) => {
        await until(workflow, needsAttention);
        broken = false;
        await workflow.executeUpdate('retry', { args: [{}] });
      },
    );
    expect(outcome).toMatchObject({ mode: 'disaster' });
    const ids = [`${runId}-needs-attention-1`, `${runId}-run-ended`];
    const deliveries = ids.map((id) =>
      server().client.workflow.getHandle<() => Promise<NotifySummary>>(noticeWorkflowId('shop', id)),
    );
    await goingOn(async () => {
      // Both have been tried, in vain, while and after the run has ended.
      for (const delivery of deliveries)
        await eventually(30, async () => {
          const { raw } = await delivery.describe();
          return (raw.pendingActivities?.some(
            ({ attempt, lastFailure }) => (attempt ?? 0) > 1 && lastFailure,
          ) ?? false)
            ? true
            : undefined;
        });
      expect(receiver.calls).toEqual([]);

      await receiver.up();
      for (const delivery of deliveries)
        expect(await delivery.result()).toMatchObject({
          receivers: [{ delivered: true, answer: 'HTTP 204' }],
        });
    });
    expect(receiver.received.sort((one, other) => (one.id < other.id ? -1 : 1))).toEqual([
      {
        ...{ schema: 1, id: ids[0], type: 'needs-attention', timestamp: expect.any(String) as string },
        data: expect.objectContaining({
          ...{ plan: 'shop', vms: ['web'], vmCount: 1, facts: { waiting: 1 } },
          text: 'web waits for a person: startInstance: It does not boot.',
          run: { type: 'failover', workflowId: expect.any(String) as string, runId, digest: '0'.repeat(64) },
        }) as unknown,
      },
      {
        ...{ schema: 1, id: ids[1], type: 'run-ended', timestamp: expect.any(String) as string },
        data: expect.objectContaining({
          text: expect.stringMatching(/^The failover of shop is done: RPO .*, RTO .*\.$/) as string,
          facts: expect.objectContaining({ outcome: 'completed', mode: 'disaster', vms: 2 }) as unknown,
        }) as unknown,
      },
    ]);
    expect(receiver.calls.some(({ body }) => body.includes(CONSOLE))).toBe(false);

    // Histories name the secret, and do not hold it.
    for (const each of [history, ...(await Promise.all(deliveries.map((one) => one.fetchHistory())))]) {
      const bytes = Buffer.from(temporal.api.history.v1.History.encode(each).finish());
      expect(bytes.includes('"secret":"ops"')).toBe(true);
      expect(bytes.includes(WEBHOOK_SECRET.slice(6))).toBe(false);
    }
  }, 120_000);

  it('of faults of many VMs at once by one notice, of a gate, and of a run that is cancelled', async () => {
    const vms = Array.from({ length: 8 }, (_, n) => `vm${n}`);
    const many = dependent(vms, {});
    await run(
      { ...told(), vms: many.vms, approval: { beforeTiers: [1] } },
      { startInstance: failing },
      async (workflow) => {
        await until(workflow, ({ awaited }) => awaited !== undefined);
        await workflow.executeUpdate('approve', { args: [{ by: 'ada', why: 'looked at it' }] });
        await until(workflow, ({ vms: rows }) => rows.every(({ phase }) => phase === 'needs attention'));
        await workflow.cancel();
      },
    );
    const notices = await received(4);
    const waits = notices.filter(({ type }) => type === 'needs-attention');
    expect(waits.flatMap(({ data }) => data.vms as string[]).sort()).toEqual([...vms].sort());
    expect(waits.length).toBeLessThanOrEqual(2);
    expect(
      notices.filter(({ type }) => type !== 'needs-attention').map(({ type, data }) => [type, data.text]),
    ).toEqual(
      expect.arrayContaining([
        ['needs-approval', expect.stringMatching(/^tier 1 waits for approval, to /)],
        ['run-ended', 'The failover of shop was cancelled.'],
      ]),
    );
  }, 120_000);

  it('of a test that fails, and of nothing that they did not ask for', async () => {
    const of = told({
      notify: [{ webhook: { url: receiver.url, secret: 'ops' }, on: ['run-ended'] }],
      approval: { beforeTiers: [1] },
    });
    const { outcome } = await run(
      of,
      { waitUntilReady: failing },
      async (workflow) => {
        await until(workflow, ({ awaited }) => awaited !== undefined);
        await workflow.executeUpdate('approve', { args: [{ by: 'ada', why: 'looked at it' }] });
      },
      { plan: 'shop', mode: 'test' },
    );
    expect(outcome).toBeInstanceOf(Error);
    expect(await received(1)).toMatchObject([
      {
        type: 'run-ended',
        data: {
          text: expect.stringMatching(
            /^The test failover of shop failed: (db|web): waitUntilReady: It does not boot\.$/,
          ) as string,
          facts: { outcome: 'failed' },
        },
      },
    ]);
  }, 120_000);

  it('of a round that failed, and not of one that gave way', async () => {
    const request = { plan: 'shop' } as FailoverRequest;
    const away = {
      digest: '0'.repeat(64),
      plan: told(),
      repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
      state: { plan: 'shop', phase: 'failing-over', generation: 2, digest: '', runId: '', updatedAt: '' },
    };
    const gaveWay = await run(told(), { loadPlan: () => away }, undefined, request, 'replication');
    expect(gaveWay.outcome).toMatchObject({ type: 'WrongPhase' });
    const { outcome } = await run(told(), { snapshotVm: failing }, undefined, request, 'replication');
    expect(outcome).toBeInstanceOf(Error);
    const [notice, ...more] = await received(1);
    expect(more).toEqual([]);
    expect(notice).toMatchObject({
      type: 'round-failed',
      data: {
        text: expect.stringMatching(/^A round of replication of shop failed: .*It does not boot/) as string,
      },
    });
    expect(
      gaveWay.history.events?.some((event) => event.startChildWorkflowExecutionInitiatedEventAttributes),
    ).toBe(false);
  }, 120_000);

  it('nobody is told of a plan that tells nobody: its history is what it was', async () => {
    const { history } = await run(dependent(['db'], {}), {});
    const bytes = Buffer.from(temporal.api.history.v1.History.encode(history).finish());
    expect(bytes.includes('notices')).toBe(false);
    expect(bytes.includes('notice-')).toBe(false);
  }, 60_000);
});
