import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createFencingActivities } from '../../activities/backup-proxy/fencing';
import { localHypervisor } from '../../hypervisor/local';
import { type Hypervisor } from '../../hypervisor/port';
import { type PlanPhase, type RunContext, type Undone } from '../../plan/run';
import { orderFence, recordFenced } from '../../repository/plans/fencing';
import { movePlanState, readPlanState, takePlanState } from '../../repository/plans/plan-state';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';

const HARDWARE = { cpus: 1, memoryMiB: 64, guestOs: 'debian12', firmware: 'bios' as const, nics: [] };

describe('VMs at home whose writes are given up, real machines', () => {
  let directory: string;
  let store: MemoryObjectStore;
  let hypervisor: Hypervisor;
  const power = async (vm: string) => (await hypervisor.describeVm(vm)).power;
  const activities = (changes: Partial<Hypervisor> = {}) =>
    createFencingActivities({
      hypervisor: { ...hypervisor, ...changes },
      objectStore: () => store,
      shutdownSeconds: 1,
    });
  const does = <Input, Result>(activity: (input: Input) => Promise<Result>, input: Input): Promise<Result> =>
    new MockActivityEnvironment().run(activity, input);
  const vms = [{ vm: 'db', primaryVm: 'SQL-1' }, { vm: 'web' }, { vm: 'gone' }];

  /** A run takes the plan, and leaves it in this phase. */
  async function leave(
    runId: string,
    phase: PlanPhase,
    undoing?: Undone,
    without?: string[],
  ): Promise<RunContext> {
    const from = (await readPlanState(store, 'shop'))?.phase ?? 'none';
    const via = phase === 'failing-back' ? phase : 'failing-over';
    const { generation } = await takePlanState(store, { ...RUN, runId }, [from], via, { undoing });
    const run = { ...RUN, runId, generation };
    if (phase !== via)
      await movePlanState(store, run, phase, {
        fence: phase === 'failed-over',
        ...(without === undefined ? {} : { without }),
      });
    return run;
  }

  async function make(vm: string, mark?: string): Promise<void> {
    await hypervisor.createVm(vm, HARDWARE, mark);
    await hypervisor.addDisk(vm, { key: 'system', sizeBytes: 2 ** 20, slot: 0, boot: true });
    await hypervisor.powerOn(vm);
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lifeboat-fencing-'));
    store = new MemoryObjectStore();
    hypervisor = localHypervisor({ directory });
    await make('SQL-1');
  });
  afterEach(async () => {
    for (const vm of await hypervisor.listVms()) await hypervisor.deleteVm(vm);
    await rm(directory, { recursive: true });
  });

  it('lose their power by the order in the plan, which counts it, and nothing else does', async () => {
    await make('web', 'lifeboat:other:run');
    await make('bystander');
    const run = await leave('failover', 'failed-over');
    const { fenceVms } = activities();
    expect(await does(fenceVms, { run, vms })).toMatchObject({
      ...{ standing: 'open', digest: RUN.digest, poweredOff: ['db'], failed: [] },
      fence: { order: 'open' },
    });
    // Once more, as nobody has heard of the first.
    expect(await does(fenceVms, { run, vms })).toMatchObject({ poweredOff: [] });
    const [at, later] = ['2026-11-30T12:00:00.000Z', '2026-11-30T12:01:00.000Z'];
    for (const _try of [1, 2]) await recordFenced(store, 'shop', { at, vms: ['db'] });
    expect((await readPlanState(store, 'shop'))?.fence).toMatchObject({
      answeredAt: at,
      vms: [{ vm: 'db', times: 1, lastAt: at }],
    });
    await recordFenced(store, 'shop', { at: later, vms: ['db'] });
    await recordFenced(store, 'shop', { at, vms: ['db'] });
    expect(await readPlanState(store, 'shop')).toMatchObject({
      generation: run.generation,
      fence: { answeredAt: at, vms: [{ vm: 'db', times: 2, lastAt: later }] },
    });
    expect(await power('SQL-1')).toBe('off');
    // Another plan's, and one of no plan.
    expect([await power('web'), await power('bystander')]).toEqual(['running', 'running']);
  });

  it.each([
    ['failing-back', 'paused'],
    ['failed-back', 'paused'],
    ['protected', 'over'],
  ] as const)('keep it where the plan is %s, however late the call comes', async (phase, standing) => {
    const run = await leave('failover', 'failed-over');
    await leave('next', phase);
    const before = await readPlanState(store, 'shop');
    expect(await does(activities().fenceVms, { run, vms })).toMatchObject({ standing, poweredOff: [] });
    expect(await power('SQL-1')).toBe('running');
    expect(await readPlanState(store, 'shop')).toEqual(before);
  });

  it('keep it where a run takes the plan between the look at one and its turn', async () => {
    const run = await leave('failover', 'failed-over');
    const { fenceVms } = activities({
      async describeVm(vm) {
        const described = await hypervisor.describeVm(vm);
        await leave('failback', 'failing-back');
        return described;
      },
    });
    await expect(does(fenceVms, { run, vms: vms.slice(0, 1) })).rejects.toMatchObject({
      type: 'Fenced',
      nonRetryable: true,
    });
    expect(await power('SQL-1')).toBe('running');
  });

  it('keep it where the failover left them out, as they have no successor', async () => {
    await make('web');
    const run = await leave('failover', 'failed-over', undefined, ['web']);
    expect(await does(activities().fenceVms, { run, vms })).toMatchObject({ poweredOff: ['db'], failed: [] });
    expect([await power('SQL-1'), await power('web')]).toEqual(['off', 'running']);
  });

  it('lose it although another cannot be powered off, which is told', async () => {
    await make('web');
    const run = await leave('failover', 'failed-over');
    const { fenceVms } = activities({
      powerOff: (vm) => (vm === 'web' ? Promise.reject(new Error('No right.')) : hypervisor.powerOff(vm)),
    });
    const { poweredOff, failed } = await does(fenceVms, { run, vms });
    expect([poweredOff, failed]).toEqual([['db'], [{ vm: 'web', why: 'No right.' }]]);
    expect([await power('SQL-1'), await power('web')]).toEqual(['off', 'running']);
  });

  it('keep it where a person has stopped the order, and lose it when it is given again', async () => {
    const run = await leave('failover', 'failed-over');
    await orderFence(store, 'shop', 'stopped');
    expect(await does(activities().fenceVms, { run, vms })).toMatchObject({ standing: 'over' });
    expect(await power('SQL-1')).toBe('running');
    // A failback that takes itself back does not give it again.
    const failback = await leave('failback', 'failing-back');
    await movePlanState(store, failback, 'failed-over', { fence: true });
    expect((await readPlanState(store, 'shop'))?.fence?.order).toBe('stopped');
    await orderFence(store, 'shop', 'open');
    expect(await does(activities().fenceVms, { run, vms })).toMatchObject({ poweredOff: ['db'] });
    await leave('commit', 'protected');
    await expect(orderFence(store, 'shop', 'open')).rejects.toThrow('needs it to be "failed-over"');
  });

  it('are asked to shut down before an undo takes their power, by the run that holds the plan alone', async () => {
    const run = await leave('undo', 'failing-back', 'failback');
    const { stopVm } = activities();
    expect(await does(stopVm, { run, vm: 'db', primaryVm: 'SQL-1' })).toEqual({ how: 'powered off' });
    expect(await power('SQL-1')).toBe('off');
    expect(await does(stopVm, { run, vm: 'db', primaryVm: 'SQL-1' })).toEqual({ how: 'was off' });
    expect(await does(stopVm, { run, vm: 'gone' })).toEqual({ how: 'was off' });
    await hypervisor.powerOn('SQL-1');
    await leave('later', 'failed-over');
    await expect(does(stopVm, { run, vm: 'db', primaryVm: 'SQL-1' })).rejects.toMatchObject({
      type: 'Fenced',
    });
    expect(await power('SQL-1')).toBe('running');
  });

  it('are those of an unfinished failback only as long as it is not finished', async () => {
    await leave('failover', 'failed-over');
    await leave('dead', 'failing-back');
    expect((await readPlanState(store, 'shop'))?.unfinishedFailbacks).toBeUndefined();
    await leave('dead too', 'failing-back');
    const third = await leave('third', 'failing-back');
    expect((await readPlanState(store, 'shop'))?.unfinishedFailbacks).toEqual(['dead too', 'dead']);
    await movePlanState(store, third, 'failed-back', { homeSince: '2026-11-30T12:00:00.000Z' });
    const home = await readPlanState(store, 'shop');
    expect([home?.unfinishedFailbacks, home?.homeSince]).toEqual([undefined, '2026-11-30T12:00:00.000Z']);
    const undo = await leave('undo', 'failing-back', 'failback');
    expect(await readPlanState(store, 'shop')).toMatchObject({
      undoing: 'failback',
      homeSince: home?.homeSince,
    });
    await movePlanState(store, undo, 'failed-over');
    const away = await readPlanState(store, 'shop');
    expect([away?.undoing, away?.homeSince, away?.fence?.order]).toEqual([undefined, undefined, 'open']);
  });
});
