import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { registerSearchAttributes } from '../../workers/search-attributes';
import { temporalCli } from './local-temporal';
import { manyVms } from './portions-workflows';

const executable = temporalCli();
const withServer = executable === undefined ? describe.skip : describe;
const QUEUE = 'portions';

withServer('a run whose VMs begin at once', () => {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    server = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'existing-path', path: executable ?? '' }, ip: '127.0.0.1' },
    });
    await registerSearchAttributes(server.connection, 'default');
  }, 120_000);
  afterAll(() => server.teardown(), 30_000);

  it('begins them in portions where one message does not hold them all', async () => {
    const worker = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: QUEUE,
      workflowsPath: require.resolve('./portions-workflows'),
    });
    const run = {
      plan: 'shop',
      digest: '0'.repeat(64),
      repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
      runId: '0199c0de-0000-7000-8000-000000000001',
      generation: 1,
    };
    const vms = Array.from({ length: 12 }, (_, n) => `vm-${n}`);
    // 6 MB in all; Temporal takes 4 MiB in a message, and 2 MB in one request.
    const bytes = 500_000;
    const sizes = await worker.runUntil(
      server.client.workflow.execute(manyVms, {
        workflowId: 'portions',
        taskQueue: QUEUE,
        args: [{ run, vms, bytes }],
        workflowExecutionTimeout: '150s',
      }),
    );
    expect(sizes).toEqual(vms.map(() => bytes));
  }, 180_000);
});
