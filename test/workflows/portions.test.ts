import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { RUN } from '../support/run-context';
import { describeWithTemporal, startTemporal } from './local-temporal';
import { manyVms, preparedAhead } from './portions-workflows';

const QUEUE = 'portions';

describeWithTemporal('a run whose VMs begin at once', () => {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    server = await startTemporal();
  }, 120_000);
  afterAll(() => server.teardown(), 30_000);

  const working = () =>
    Worker.create({
      connection: server.nativeConnection,
      taskQueue: QUEUE,
      workflowsPath: require.resolve('./portions-workflows'),
    });

  it('begins them in portions where one message does not hold them all', async () => {
    const worker = await working();
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

  it('prepares those whose turn is later in their order, so many at a time', async () => {
    const worker = await working();
    const ahead = ['a', 'bbbbb', 'cc', 'dddd', 'e', 'fff'];
    const told = await worker.runUntil(
      server.client.workflow.execute(preparedAhead, {
        workflowId: 'prepared-ahead',
        taskQueue: QUEUE,
        args: [[...ahead.slice(0, 2), 'turn', ...ahead.slice(2), 'given up'], 2],
        workflowExecutionTimeout: '150s',
      }),
    );
    expect(told).toEqual({ begun: ['turn in turn', ...ahead.map((name) => `${name} ahead`)], most: 2 });
  }, 180_000);
});
