import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { AWS_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { plainPlan } from '../support/e2e-plan';
import { eventually } from '../support/eventually';
import { RUN } from '../support/run-context';
import { describeWithTemporal, runWorkers, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

/** Restores whose work is in the queue before the failover's is. */
const RESTORES = 40;

describeWithTemporal('work of several runs in one queue', () => {
  const server = temporalForTests();

  it("does a failover's before that of restores which were there first", async () => {
    const { client, nativeConnection: connection } = server();
    const done: string[] = [];
    const control = await Worker.create({
      connection,
      taskQueue: CONTROL_QUEUE,
      workflowBundle: await productBundle(),
      activities: {},
    });
    const aws = await Worker.create({
      connection,
      taskQueue: AWS_PROXY_QUEUE,
      maxConcurrentActivityTaskExecutions: 1,
      activities: {
        async planRestore() {
          await new Promise((resolve) => setTimeout(resolve, 75));
          done.push('restore');
          return { upToDate: true, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z' };
        },
        createVolumes: () => [],
        launchShell() {
          done.push('failover');
          throw ApplicationFailure.nonRetryable('Enough is known.');
        },
      },
    });
    const running = control.run();
    const queued = Array.from({ length: RESTORES }, (_, n) =>
      client.workflow.start('restoreVm', {
        workflowId: `lifeboat:shop-${n}:restore:db`,
        taskQueue: CONTROL_QUEUE,
        args: [{ run: RUN, vm: 'db', copy: 'direct' }],
      }),
    );
    const restores = await Promise.all(queued);
    const scheduled = async (): Promise<number> => {
      const counted = await Promise.all(
        restores.map(async (handle) => (await handle.describe()).raw.pendingActivities?.length ?? 0),
      );
      return counted.reduce((sum, count) => sum + count, 0);
    };
    await eventually(60, async () => ((await scheduled()) === RESTORES ? true : undefined));
    const { vms, recoverySite } = plainPlan('shop', ['db']);
    const [vm] = vms;
    const site = recoverySite.production;
    const drCopy = { vm: 'db', recoveryPoint: 'r', disks: [], configuration: { firmware: 'bios' } };
    const failover = await client.workflow.start('failoverVm', {
      workflowId: 'lifeboat:shop:failover:db',
      taskQueue: CONTROL_QUEUE,
      args: [
        { run: RUN, vm, site, drCopy, imageId: 'ami-0123456789abcdef0', ahead: true, onFailure: 'undo' },
      ],
    });
    const asked = async (): Promise<number> => (await failover.describe()).raw.pendingActivities?.length ?? 0;
    await eventually(60, async () => ((await asked()) > 0 ? true : undefined));
    const ended = aws.run();
    await Promise.all(restores.map((handle) => handle.result()));
    for (const worker of [control, aws]) worker.shutdown();
    await Promise.all([running, ended]);
    expect(done).toHaveLength(RESTORES + 1);
    // Temporal promises to be close to the order: a queue has partitions, and a worker polls ahead; and between the failover's two steps
    // there is a workflow task, which takes its time on a busy machine. In turn it would be the last.
    expect(done.indexOf('failover')).toBeLessThan(RESTORES / 2);
  }, 180_000);

  it('does what a launched VM only has to answer before further launches of its run', async () => {
    const { client, nativeConnection: connection } = server();
    const stop = await runWorkers(connection, {
      [AWS_PROXY_QUEUE]: {
        registerImage: () => ({ imageId: 'ami-0123456789abcdef1' }),
        launchInstance: () => ({ instanceId: 'i-0123456789abcdef1', privateAddress: '10.0.1.20' }),
        waitUntilReady: () => ({ seconds: 1 }),
      },
    });
    const { vms, recoverySite } = plainPlan('shop', ['db']);
    const launchCopy = { snapshots: [{ diskKey: 'system', snapshotId: 'snap-0123456789abcdef0' }] };
    const drCopy = {
      vm: 'db',
      recoveryPoint: 'r',
      disks: [],
      configuration: { firmware: 'bios' },
      launchCopy,
    };
    const failover = await client.workflow.start('failoverVm', {
      workflowId: 'lifeboat:shop:failover:db',
      taskQueue: CONTROL_QUEUE,
      args: [
        { run: RUN, vm: vms[0], site: recoverySite.production, drCopy, ahead: false, onFailure: 'undo' },
      ],
    });
    await failover.result();
    const { events } = await failover.fetchHistory();
    await stop();
    const keys = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: activity }) =>
      activity ? [[activity.activityType?.name, activity.priority?.priorityKey]] : [],
    );
    expect(Object.fromEntries(keys)).toEqual({ registerImage: 2, launchInstance: 2, waitUntilReady: 1 });
  }, 180_000);
});
