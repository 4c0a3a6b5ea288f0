import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { AWS_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { type VmRestoreRequest } from '../../workflows/restore';
import { RUN } from '../support/run-context';
import { describeWithTemporal, startTemporal } from './local-temporal';
import { productBundle } from './product-bundle';

const REQUEST: VmRestoreRequest = {
  run: RUN,
  vm: 'db',
  copy: 'direct',
};

/** On a real Temporal server; what AWS would be asked is only noted, as its instant is what counts here. */
describeWithTemporal('a restore that is cancelled', () => {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    server = await startTemporal();
  }, 120_000);
  afterAll(() => server.teardown(), 30_000);

  /** What the restore asks for, cancelled while it asks for `during`. */
  async function callsOf(during: string): Promise<string[]> {
    const calls: string[] = [];
    const noted = (name: string, result: unknown) => async (): Promise<unknown> => {
      calls.push(name);
      if (name === during) {
        await server.client.workflow.getHandle(`restore-${during}`).cancel();
        // The cancellation is with the workflow before this is answered.
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      return result;
    };
    const restore = { kind: 'full', recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [] };
    const connection = server.nativeConnection;
    const workers = [
      await Worker.create({
        connection,
        taskQueue: CONTROL_QUEUE,
        workflowBundle: await productBundle(),
        activities: { checkPlanState: noted('checkPlanState', undefined) },
      }),
      await Worker.create({
        connection,
        taskQueue: AWS_PROXY_QUEUE,
        activities: {
          planRestore: noted('planRestore', restore),
          publishDrCopy: noted('publishDrCopy', {}),
          deleteReplacedDrCopies: noted('deleteReplacedDrCopies', { deleted: [] }),
          discardRestore: noted('discardRestore', { deleted: [] }),
        },
      }),
    ];
    const working = workers.map((worker) => worker.run());
    try {
      const handle = await server.client.workflow.start('restoreVm', {
        workflowId: `restore-${during}`,
        taskQueue: CONTROL_QUEUE,
        args: [REQUEST],
      });
      await handle.result().catch(() => undefined);
    } finally {
      for (const worker of workers) worker.shutdown();
      await Promise.all(working);
    }
    return calls;
  }

  it('publishes to the end what it has begun to publish: never two DR copies', async () => {
    const calls = await callsOf('publishDrCopy');
    expect(calls.slice(0, 4)).toEqual([
      'planRestore',
      'checkPlanState',
      'publishDrCopy',
      'deleteReplacedDrCopies',
    ]);
  }, 60_000);

  it('publishes nothing where it has not begun to', async () => {
    expect(await callsOf('checkPlanState')).toEqual(['planRestore', 'checkPlanState', 'discardRestore']);
  }, 60_000);
});
