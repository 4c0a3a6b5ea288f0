import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { createControlActivities } from '../../activities/control/activities';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { publishPlan } from '../../repository/plans/plans';
import { statusQuery } from '../../workflows/run/messages';
import { endRun } from '../support/end-run';
import { eventually } from '../support/eventually';
import { MemoryObjectStore } from '../support/memory-object-store';
import { GOOD_PLAN, planOf } from '../unit/plan-file';
import { describeWithTemporal, startTemporal } from './local-temporal';

const CLOSED = new Date('2026-01-15T12:00:00Z');
const OPEN = new Date('2026-01-15T21:30:00Z');

/** No backup proxy is there: what begins, begins, and is ended. */
describeWithTemporal('a plan with a window for backups, on a real Temporal server', () => {
  let server: TestWorkflowEnvironment;
  let worker: Worker;
  let working: Promise<void>;
  let client: LifeboatClient;
  /** The clock that the control worker's windows go by. */
  let now = CLOSED;

  beforeAll(async () => {
    server = await startTemporal();
    const store = new MemoryObjectStore();
    const limit = 'frequency: 15m\n  limit: { between: "22:00-06:00", timeZone: Europe/Berlin }';
    const { plan, scripts } = await planOf(GOOD_PLAN.replace('frequency: 15m', limit));
    await publishPlan(store, plan, scripts);
    worker = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: CONTROL_QUEUE,
      workflowsPath: require.resolve('../../workflows'),
      activities: createControlActivities({
        objectStore: () => store,
        repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
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
});
