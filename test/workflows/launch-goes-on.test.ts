import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { AWS_PROXY_QUEUE } from '../../activities/task-queues';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { launch } from './launch-goes-on-workflows';
import { describeWithTemporal, startTemporal } from './local-temporal';

describeWithTemporal(
  'an activity that fails after it has launched something, on a real Temporal server',
  () => {
    let server: TestWorkflowEnvironment;
    let worker: Worker;
    let working: Promise<void>;
    let steps: FailoverSteps;

    beforeAll(async () => {
      Runtime.install({ logger: new DefaultLogger('ERROR') });
      steps = await openFailoverSteps();
      server = await startTemporal();
      worker = await Worker.create({
        connection: server.nativeConnection,
        taskQueue: AWS_PROXY_QUEUE,
        workflowsPath: require.resolve('./launch-goes-on-workflows'),
        activities: steps.activities,
        // Longer than the test: of each try the first beat alone is sent as it comes, which tells what the try before knew.
        maxHeartbeatThrottleInterval: '1 hour',
        defaultHeartbeatThrottleInterval: '1 hour',
      });
      working = worker.run();
    }, 120_000);

    afterAll(async () => {
      worker?.shutdown();
      await working;
      await server?.teardown();
      await steps?.site.stop();
    }, 60_000);

    it('goes on from it in its next tries, by what its last heartbeat said', async () => {
      const { imageId } = await steps.shellImage('launch-run');
      steps.site.faults.push({ operation: 'DescribeInstances', times: 3, code: 'InternalError' });
      steps.site.calls.length = 0;
      const { instanceId } = await server.client.workflow.execute(launch, {
        workflowId: 'launch',
        taskQueue: AWS_PROXY_QUEUE,
        args: [steps.shellRequest('launch-run', imageId)],
      });
      expect(steps.site.faults[0]?.times).toBe(0);
      const made = steps.site.calls.map(({ operation }) => operation);
      expect(made.filter((operation) => operation === 'RunInstances')).toHaveLength(1);
      expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'stopped' } });
    }, 60_000);
  },
);
