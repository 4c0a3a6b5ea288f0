import { randomUUID } from 'node:crypto';
import { type WorkflowHandle } from '@temporalio/client';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { orderFence } from '../../repository/plans/fencing';
import { type FenceSummary } from '../../workflows/fence';
import { type FailbackSummary } from '../../workflows/failback';
import { type RunRequest } from '../../workflows/run/begin';
import { type RunStatus } from '../../workflows/run/messages';
import { endRun } from '../support/end-run';
import { eventually } from '../support/eventually';
import { dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';
import { TwoSites } from './two-sites';

const SECONDS = 40;

describeWithTemporal('the fence', () => {
  const server = temporalForTests();
  const plan = dependent(['db', 'web'], { web: ['db'] });

  const started = (type: string): Promise<WorkflowHandle> =>
    server().client.workflow.start(type, {
      workflowId: `${type}-${randomUUID()}`,
      taskQueue: CONTROL_QUEUE,
      args: [{ plan: 'shop' } satisfies RunRequest],
      workflowExecutionTimeout: '150s',
    });
  const phase = async (run: WorkflowHandle): Promise<string> => (await run.query<RunStatus>('status')).phase;
  const until = (what: () => boolean | Promise<boolean>): Promise<true> =>
    eventually(SECONDS, async () => ((await what()) ? true : undefined));

  it('waits for the data centre, powers off what runs there, again when it is started, and ends with the order', async () => {
    const sites = new TwoSites(plan);
    await sites.be('failed-over', { fence: true });
    let stop = await sites.work(server(), { backupProxy: false });
    try {
      const run = await started('fence');
      await until(async () => (await phase(run)) === 'waiting for the data centre');
      expect((await sites.state())?.fence?.answeredAt).toBeUndefined();

      await stop();
      // As after a power cut: all that ran is started.
      for (const vm of ['db', 'web']) sites.home.set(vm, { power: 'running' });
      stop = await sites.work(server());
      await until(() => sites.running('home').length === 0);
      sites.home.set('web', { power: 'running' });
      await until(async () => (await sites.state())?.fence?.vms?.some(({ times }) => times === 2) === true);
      expect(sites.running('home')).toEqual([]);
      expect((await sites.state())?.fence).toMatchObject({
        answeredAt: expect.any(String) as string,
        vms: [
          { vm: 'db', times: 1 },
          { vm: 'web', times: 2 },
        ],
      });
      await until(async () => (await phase(run)) === 'keeping the VMs off');

      await orderFence(sites.store, 'shop', 'stopped');
      const ended = (await run.result()) as FenceSummary;
      expect(ended).toMatchObject({ plan: 'shop', vms: [{ vm: 'db' }, { vm: 'web', times: 2 }] });
      sites.home.set('web', { power: 'running' });
      await orderFence(sites.store, 'shop', 'stopped');
      expect(await (await started('fence')).result()).toMatchObject({ plan: 'shop' });
      expect(sites.running('home')).toEqual(['web']);
    } finally {
      await stop();
    }
  }, 180_000);

  it('leaves alone what a failback brings home, goes on where that is taken back, and ends with the commit', async () => {
    const sites = new TwoSites(plan);
    await sites.be('failed-over', { fence: true });
    const stop = await sites.work(server());
    try {
      const run = await started('fence');
      await until(async () => (await phase(run)) === 'keeping the VMs off');
      await sites.leave('failing-back', 'failback');
      sites.home.set('db', { power: 'running', mark: 'lifeboat:shop:failback' });
      await until(async () => (await phase(run)) === 'paused while the plan is brought home');
      await sites.leave('failed-back', 'another');
      const looked = (await run.describe()).historyLength;
      await until(async () => (await run.describe()).historyLength > looked + 20);
      expect(sites.running('home')).toEqual(['db']);

      await sites.leave('failed-over', 'undo');
      await until(() => sites.running('home').length === 0);
      await sites.leave('protected', 'commit');
      sites.home.set('db', { power: 'running', mark: 'lifeboat:shop:failback' });
      await run.result();
      expect(sites.running('home')).toEqual(['db']);
      expect((await sites.state())?.fence).toBeUndefined();
    } finally {
      await stop();
    }
  }, 180_000);

  it.each([
    ['a plan that says nothing of it', 'disaster', undefined, true],
    ['a plan that wants none', 'disaster', 'none', false],
  ] as const)(
    'is left by a failover of %s: %s, %s',
    async (_what, mode, wanted, left) => {
      const of = { ...plan, primarySite: { ...plan.primarySite, ...(wanted && { fence: wanted }) } };
      const { outcome, inputs, calls } = await failOverOn(server(), { plan: 'shop', mode }, {}, { of });
      expect(inputs.get('movePlanState')).toMatchObject({ to: 'failed-over', fence: left });
      expect('fence' in outcome && outcome.fence?.workflowId).toEqual(left && 'lifeboat:shop:fence');
      // Until then the VMs at home may be all that serves.
      const asked = calls.indexOf('fenceVms');
      expect(asked === -1 || asked > calls.lastIndexOf('movePlanState')).toBe(true);
      await endRun(server().client.workflow.getHandle('lifeboat:shop:fence'));
    },
    120_000,
  );
});

describeWithTemporal('a failback', () => {
  const server = temporalForTests();
  const plan = dependent(['db', 'web'], { web: ['db'] });

  async function failBack(sites: TwoSites): Promise<FailbackSummary | Error> {
    const stop = await sites.work(server());
    try {
      const run = await server().client.workflow.start('failback', {
        workflowId: `failback-${randomUUID()}`,
        taskQueue: CONTROL_QUEUE,
        args: [{ plan: 'shop', onFailure: 'undo' }],
        workflowExecutionTimeout: '150s',
      });
      return await (run.result() as Promise<FailbackSummary>).catch((error: Error) => rootOf(error));
    } finally {
      await stop();
    }
  }
  const rootOf = (error: Error): Error => (error.cause instanceof Error ? rootOf(error.cause) : error);

  const MARK = 'lifeboat:shop:dead';

  it('removes the template VMs that a terminated one has left, by their mark', async () => {
    const sites = new TwoSites(plan);
    await sites.be('failed-over');
    await sites.leave('failing-back', 'dead');
    sites.home.clear();
    sites.home.set('db', { power: 'off', mark: MARK });
    expect(await failBack(sites)).toMatchObject({ vms: [{ vm: 'db' }, { vm: 'web' }] });
    expect(sites.of('deleteVm')).toEqual(['deleteVm db']);
    expect(sites.calls.indexOf('deleteVm db')).toBeLessThan(sites.calls.indexOf('createVm db'));
    expect(sites.running('home')).toEqual(['db', 'web']);
    const state = await sites.state();
    expect(state).toMatchObject({ phase: 'failed-back', homeSince: expect.any(String) as string });
    expect(state?.unfinishedFailbacks).toBeUndefined();
  }, 180_000);

  it.each([
    [
      'runs: nobody knows for how long it has served',
      { power: 'running', mark: MARK },
      /runs at the primary/,
    ],
    [
      'is not the one that was backed up',
      { power: 'off' },
      /VM "db" that is not as its last backup knows it.*Nothing of it was changed/,
    ],
  ] as const)(
    'leaves a VM alone that %s',
    async (_what, vm, message) => {
      const sites = new TwoSites(plan);
      await sites.be('failed-over');
      await sites.leave('failing-back', 'dead');
      sites.home.clear();
      sites.home.set('db', vm);
      expect(await failBack(sites)).toMatchObject({ message: expect.stringMatching(message) as string });
      expect(sites.of('deleteVm', 'stopInstance')).toEqual([]);
      expect(sites.home.get('db')).toEqual(vm);
    },
    120_000,
  );

  it('begins by no undo that has ended half-way', async () => {
    const sites = new TwoSites(plan);
    await sites.be('failed-over');
    await sites.leave('failing-back', 'dead', { undoing: 'failover' });
    expect(await failBack(sites)).toMatchObject({
      message: expect.stringMatching(
        /undo of the failover of "shop" has ended half-way.*lifeboat undo shop/,
      ) as string,
    });
    expect(sites.calls).toEqual([]);
  }, 120_000);
});
