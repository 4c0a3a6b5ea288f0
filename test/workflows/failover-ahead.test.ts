import { ApplicationFailure } from '@temporalio/common';
import { type DrPlan } from '../../plan/schema';
import { type FailoverRequest } from '../../workflows/failover';
import { eventually } from '../support/eventually';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

type FailOverArguments = [
  request: FailoverRequest,
  answers?: Answers,
  options?: { of?: DrPlan; calls?: string[]; cachedWorkflows?: number },
];

/** On a real Temporal server; what AWS would be asked is only noted, as the order is what counts here. */
describeWithTemporal('a failover whose VMs depend on each other', () => {
  const server = temporalForTests();

  const plan = dependent(['db', 'web'], { web: ['db'] });

  const failOver = (...[request, answers = {}, options = {}]: FailOverArguments) =>
    failOverOn(server(), request, answers, { of: plan, ...options });

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
    expect(outcome).toMatchObject({
      vms: ['db', 'web'].map((vm) => ({ vm, console: { screenshot: vm }, warnings: [] })),
    });
    // What their consoles show is kept before they go, and no VM has waited for that.
    expect(calls.lastIndexOf('keepConsoles')).toBeGreaterThan(calls.indexOf('waitUntilReady web'));
    expect(calls.indexOf('removeRecoveryResources')).toBeGreaterThan(calls.lastIndexOf('keepConsoles'));
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

  it('keeps what consoles show after the application serves, and completes where it cannot', async () => {
    const { calls, outcome } = await failOver(
      { plan: 'shop', mode: 'disaster', onFailure: 'undo' },
      {
        takePlanState: () => ({ generation: 2 }),
        keepConsoles: () => {
          throw ApplicationFailure.nonRetryable('The bucket is gone.', 'NotFound');
        },
      },
    );
    expect(outcome).toMatchObject({
      vms: ['db', 'web'].map((vm) => ({
        ...{ vm, console: { takenAt: expect.any(String) as string } },
        warnings: [expect.stringMatching(/console showed was not kept: .*The bucket is gone\./)],
      })),
    });
    expect(calls.lastIndexOf('keepConsoles')).toBeGreaterThan(calls.indexOf('movePlanState'));
  }, 180_000);

  it.each([1, 2])(
    'launches once more where EC2 ends an instance for its own error: %i times',
    async (times) => {
      const tried: (number | undefined)[] = [];
      const { outcome } = await failOver(
        { plan: 'shop', mode: 'test' },
        {
          'launchShell db': ({ attempt }) => {
            tried.push(attempt);
            if (tried.length > times) return { instanceId: 'i-0123456789abcdef0' };
            throw ApplicationFailure.nonRetryable('Internal error on launch.', 'LaunchAborted');
          },
        },
      );
      expect(tried).toEqual([1, 2]);
      expect(outcome).toMatchObject(
        times === 1
          ? { vms: [{ vm: 'db' }, { vm: 'web' }] }
          : { message: expect.stringContaining('db: launchShell: Internal error on launch.') as string },
      );
    },
    180_000,
  );

  it('is carried through by a worker that keeps two workflows in memory, and asks nothing twice', async () => {
    const [first, second] = [
      ['db-0', 'db-1', 'db-2'],
      ['web-0', 'web-1', 'web-2'],
    ];
    const vms = [...first, ...second];
    const of = dependent(vms, Object.fromEntries(second.map((vm) => [vm, first])));
    const { calls, outcome } = await failOver({ plan: 'shop', mode: 'test' }, {}, { of, cachedWorkflows: 2 });
    expect(outcome).toMatchObject({ vms: vms.map((vm) => ({ vm })) });
    for (const step of ['launchShell', 'startInstance', 'waitUntilReady'])
      for (const vm of vms) expect(calls.filter((call) => call === `${step} ${vm}`)).toHaveLength(1);
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
