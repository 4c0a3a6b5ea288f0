import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { type AwayActivities } from '../../activities/aws-proxy/away/contract';
import { createControlActivities } from '../../activities/control/activities';
import { AWS_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { movePlanState, takePlanState } from '../../repository/plans/plan-state';
import { publishPlan } from '../../repository/plans/plans';
import { statusQuery } from '../../workflows/run/messages';
import { endRun } from '../support/end-run';
import { eventually } from '../support/eventually';
import { MemoryObjectStore } from '../support/memory-object-store';
import { GOOD_PLAN, planOf } from '../unit/plan-file';
import { describeWithTemporal, startTemporal } from './local-temporal';
import { productBundle } from './product-bundle';

const CLOSED = new Date('2026-01-15T12:00:00Z');
const repository = { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' };
const OPEN = new Date('2026-01-15T21:30:00Z');

/** No backup proxy is there: what begins, begins, and is ended. */
describeWithTemporal('a plan with a window for backups, on a real Temporal server', () => {
  let server: TestWorkflowEnvironment;
  let worker: Worker;
  let store: MemoryObjectStore;
  let working: Promise<void>;
  let client: LifeboatClient;
  /** The clock that the control worker's windows go by. */
  let now = CLOSED;

  beforeAll(async () => {
    server = await startTemporal();
    store = new MemoryObjectStore();
    const limit = 'frequency: 15m\n  limit: { between: "22:00-06:00", timeZone: Europe/Berlin }';
    const { plan, scripts } = await planOf(GOOD_PLAN.replace('frequency: 15m', limit));
    await publishPlan(store, plan, scripts);
    worker = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: CONTROL_QUEUE,
      workflowBundle: await productBundle(),
      activities: createControlActivities({
        objectStore: () => store,
        repository,
        now: () => now,
      }),
    });
    working = worker.run();
    client = await lifeboatClient({ client: server.client });
  }, 120_000);

  afterAll(async () => {
    worker.shutdown();
    await working;
    await server.teardown();
  }, 30_000);

  const untilPhase = (workflowId: string, phase: string): Promise<true> =>
    eventually(30, async () => {
      const status = await server.client.workflow.getHandle(workflowId).query(statusQuery);
      return status.phase === phase || undefined;
    });

  /** Cancelled, they would wait for a backup proxy to give the snapshots up. */
  async function endRuns(...kinds: string[]): Promise<void> {
    for (const kind of [...kinds, 'backup', 'backup:db', 'backup:web'])
      await endRun(server.client.workflow.getHandle(`lifeboat:shop:${kind}`));
  }

  it('backs up outside of it only when told to', async () => {
    now = CLOSED;
    const refused = await client.backup({ plan: 'shop' });
    await expect(refused.result()).rejects.toThrow(
      'The plan "shop" lets backups begin 22:00-06:00 (Europe/Berlin) only (replication.limit.between), which is from ' +
        '2026-01-15T21:00:00.000Z on. To back up now all the same: lifeboat backup shop --outside-window',
    );
    const forced = await client.backup({ plan: 'shop', outsideWindow: true });
    await untilPhase(forced.workflowId, 'backing up');
    await endRuns();
  }, 60_000);

  it('lets a round that is due wait until it opens, and says so', async () => {
    now = CLOSED;
    const round = await client.replicate({ plan: 'shop' });
    await untilPhase(
      round.workflowId,
      'waiting until 2026-01-15T21:00:00.000Z: backups begin 22:00-06:00 (Europe/Berlin) only',
    );
    now = OPEN;
    await untilPhase('lifeboat:shop:backup', 'backing up');
    await untilPhase(round.workflowId, 'backing up');
    await endRuns('replication');
  }, 60_000);

  it('does not keep a plan that is failed over from being protected, nor one VM the others', async () => {
    now = CLOSED;
    const { run } = await takeAway();
    const asked: unknown[] = [];
    const awsProxy = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: AWS_PROXY_QUEUE,
      activities: {
        readAwayInstances: () => ({
          instances: [
            { vm: 'db', instanceId: 'i-1' },
            { vm: 'web', instanceId: 'i-2' },
          ],
          problems: [{ vm: 'cache', problem: 'There is no instance of cache.' }],
        }),
        makeAwayCopy: (input: Parameters<AwayActivities['makeAwayCopy']>[0]) => {
          asked.push(input);
          if (input.vm === 'db') throw ApplicationFailure.nonRetryable('You may not.', 'Forbidden');
          return { vm: input.vm, takenAt: input.since, snapshotIds: ['snap-1'] };
        },
      },
    });
    await awsProxy.runUntil(async () => {
      const begun = Date.now();
      const round = await client.replicate({ plan: 'shop' });
      await expect(round.result()).rejects.toThrow(
        /No new copy at the recovery site of cache \(There is no instance of cache\.\), db \(.*You may not\.\)\. What an earlier round has made stays: lifeboat status shop/,
      );
      expect(asked).toHaveLength(2);
      expect(asked).toContainEqual({
        run: expect.objectContaining({ runId: round.runId, generation: run.generation }) as unknown,
        vm: 'web',
        instanceId: 'i-2',
        since: expect.any(String) as unknown,
      });
      const { since } = asked[0] as { since: string };
      expect(Math.abs(Date.parse(since) - begun)).toBeLessThan(30_000);
    });
  }, 60_000);

  async function takeAway() {
    const away = { plan: 'shop', digest: '0'.repeat(64), runId: 'failover-run', repository };
    const { generation } = await takePlanState(store, away, ['none'], 'failing-over');
    const run = { ...away, generation };
    await movePlanState(store, run, 'failed-over');
    return { run };
  }
});
