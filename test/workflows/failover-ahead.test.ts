import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { awsProxyHostQueue, AWS_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { type DrPlan } from '../../plan/schema';
import { type FailoverRequest, type FailoverSummary } from '../../workflows/failover';
import { plainPlan } from '../support/e2e-plan';
import { eventually } from '../support/eventually';
import { describeWithTemporal, startTemporal } from './local-temporal';

const ZONE = 'eu-central-1a';
const HOST = 'i-0a11fe00000000001';

interface Input {
  vm?: string;
}
type Answers = Partial<Record<string, (input: Input) => unknown>>;

/** On a real Temporal server; what AWS would be asked is only noted, as the order is what counts here. */
describeWithTemporal('a failover whose VMs depend on each other', () => {
  let server: TestWorkflowEnvironment;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await startTemporal();
  }, 120_000);
  afterAll(() => server.teardown(), 30_000);

  const plan = dependent(['db', 'web'], { web: ['db'] });

  /** A failover of the plan, with what its activities were asked, in order: `createVolumes web`. */
  async function failOver(
    request: FailoverRequest,
    answers: Answers = {},
    { of = plan, calls = [] }: { of?: DrPlan; calls?: string[] } = {},
  ): Promise<{ calls: string[]; inputs: Map<string, Input>; outcome: FailoverSummary | Error }> {
    const inputs = new Map<string, Input>();
    const activities = (names: string[]): WorkerOptions['activities'] =>
      Object.fromEntries(
        names.map((name) => [
          name,
          async (input: Input = {}): Promise<unknown> => {
            const call = [name, input.vm].filter((part) => part !== undefined).join(' ');
            calls.push(call);
            inputs.set(call, input);
            return (
              (await answers[call]?.(input)) ?? (await answers[name]?.(input)) ?? USUAL[name]?.(of, input)
            );
          },
        ]),
      );
    const worker = async (taskQueue: string, names: string[], more: Partial<WorkerOptions> = {}) =>
      Worker.create({
        connection: server.nativeConnection,
        taskQueue,
        activities: activities(names),
        ...more,
      });
    const workers = [
      await worker(CONTROL_QUEUE, ['loadPlan', 'takePlanState', 'movePlanState', 'checkPlanState'], {
        workflowsPath: require.resolve('../../workflows'),
      }),
      await worker(AWS_PROXY_QUEUE, [
        ...[
          'checkFailover',
          'proxyHost',
          'createVolumes',
          'ensureShellImage',
          'launchShell',
          'attachVolumes',
        ],
        ...['startInstance', 'waitUntilReady', 'discardShell', 'removeRecoveryResources'],
      ]),
      await worker(awsProxyHostQueue(HOST), ['injectDrivers']),
    ];
    const working = workers.map((one) => one.run());
    try {
      const outcome = await server.client.workflow
        .execute<(asked: FailoverRequest) => Promise<FailoverSummary>>('failover', {
          workflowId: `failover-${randomUUID()}`,
          taskQueue: CONTROL_QUEUE,
          args: [request],
          workflowExecutionTimeout: '150s',
        })
        .catch((error: Error) => (error.cause as Error | undefined) ?? error);
      return { calls, inputs, outcome };
    } finally {
      for (const one of workers) one.shutdown();
      await Promise.all(working);
    }
  }

  it('makes volumes and shells ahead, and boots each when all that it depends on serves', async () => {
    const ahead = ['createVolumes web', 'launchShell web'];
    let serving = false;
    const calls: string[] = [];
    const { inputs, outcome } = await failOver(
      { plan: 'shop', mode: 'test' },
      {
        // The first serves only when the other has its volumes and its shell; in turn, that would be never.
        'waitUntilReady db': async () => {
          await eventually(60, () =>
            Promise.resolve(ahead.every((call) => calls.includes(call)) ? true : undefined),
          );
          await new Promise((resolve) => setTimeout(resolve, 300));
          serving = true;
          return { seconds: 1 };
        },
        'injectDrivers web': () => {
          if (!serving) throw ApplicationFailure.nonRetryable('It was begun too early.');
          return { family: 'test', kernels: [], modules: [], changed: [], warnings: [] };
        },
      },
      { calls },
    );
    expect(outcome).toMatchObject({ vms: [{ vm: 'db' }, { vm: 'web' }] });
    expect(calls.filter((call) => call === 'ensureShellImage')).toHaveLength(1);
    expect(inputs.get('launchShell web')).toMatchObject({ imageId: 'ami-0123456789abcdef0' });
    // Where they find each other is for the activity to look up: told here, it would grow with the square of the plan.
    expect(inputs.get('injectDrivers web')).not.toHaveProperty('hosts');
  }, 180_000);

  it('takes back a VM that waits for one that failed, and only then removes what was made', async () => {
    const calls: string[] = [];
    const { outcome } = await failOver(
      { plan: 'shop', mode: 'test' },
      {
        'startInstance db': () => {
          throw ApplicationFailure.nonRetryable('It was terminated.', 'LaunchFailed');
        },
        // Under way while the other fails.
        'launchShell web': async () => {
          await new Promise((resolve) => setTimeout(resolve, 1500));
          calls.push('shell of web made');
          return { instanceId: 'i-0123456789abcdef1' };
        },
      },
      { calls },
    );
    expect(outcome).toMatchObject({
      message: expect.stringMatching(/db: .*It was terminated\.\nweb: not started, as db failed/),
    });
    expect(calls.indexOf('shell of web made')).toBeGreaterThan(0);
    expect(calls.indexOf('removeRecoveryResources')).toBeGreaterThan(calls.indexOf('shell of web made'));
    expect(calls).not.toContain('injectDrivers web');
  }, 180_000);

  it('ends where each VM has so many names that those of all would fill a message', async () => {
    const vms = Array.from({ length: 16 }, (_, n) => `vm-${n}`);
    const [first, second] = [vms.slice(0, 8), vms.slice(8)];
    const large = dependent(vms, Object.fromEntries(second.map((vm) => [vm, first])));
    for (const vm of large.vms)
      vm.hostNames = Array.from({ length: 340 }, (_, n) => `${vm.name}-${n}.${'x'.repeat(200)}`);
    const { outcome } = await failOver({ plan: 'shop', mode: 'test' }, {}, { of: large });
    expect(outcome).toMatchObject({ vms: vms.map((vm) => ({ vm })) });
  }, 180_000);
});

function dependent(vms: string[], dependsOn: Record<string, string[]>): DrPlan {
  const plan = plainPlan('shop', vms);
  return { ...plan, vms: plan.vms.map((vm) => ({ ...vm, dependsOn: dependsOn[vm.name] ?? [] })) };
}

/** What the activities answer unless a test says otherwise. */
const USUAL: Record<string, (plan: DrPlan, input: Input) => unknown> = {
  loadPlan: (plan) => ({
    ...{ digest: '0'.repeat(64), plan },
    repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
    state: { plan: plan.name, phase: 'protected', generation: 1, digest: '', runId: '', updatedAt: '' },
  }),
  checkFailover: (plan) => ({
    availabilityZone: ZONE,
    drCopies: plan.vms.map(({ name: vm }) => ({
      ...{ vm, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [] },
      configuration: { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] },
    })),
  }),
  proxyHost: () => ({ taskQueue: awsProxyHostQueue(HOST), instanceId: HOST, availabilityZone: ZONE }),
  createVolumes: () => [],
  ensureShellImage: () => ({ imageId: 'ami-0123456789abcdef0' }),
  launchShell: () => ({ instanceId: 'i-0123456789abcdef0' }),
  injectDrivers: () => ({ family: 'test', kernels: [], modules: [], changed: [], warnings: [] }),
  startInstance: () => ({ privateAddress: '10.0.1.20' }),
  waitUntilReady: () => ({ seconds: 1 }),
  removeRecoveryResources: () => ({ removed: [] }),
};
