import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { RUN } from '../support/run-context';
import { describeWithTemporal, startTemporal } from './local-temporal';
import { manyVms } from './portions-workflows';

const QUEUE = 'portions';

describeWithTemporal('a run whose VMs begin at once', () => {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    server = await startTemporal();
  }, 120_000);
  afterAll(() => server.teardown(), 30_000);

  it('begins them in portions where one message does not hold them all', async () => {
    const worker = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: QUEUE,
      workflowsPath: require.resolve('./portions-workflows'),
    });
    const vms = Array.from({ length: 12 }, (_, n) => `vm-${n}`);
    // 6 MB in all; Temporal takes 4 MiB in a message, and 2 MB in one request.
    const bytes = 500_000;
    const sizes = await worker.runUntil(
      server.client.workflow.execute(manyVms, {
        workflowId: 'portions',
        taskQueue: QUEUE,
        args: [{ run: RUN, vms, bytes }],
        workflowExecutionTimeout: '150s',
      }),
    );
    expect(sizes).toEqual(vms.map(() => bytes));
  }, 180_000);
});
