import { lifeboatClient } from '../../client/client';
import { type ScheduledTestRequest } from '../../workflows/scheduled-test';
import { workflowId } from '../../workflows/run/ids';
import { runCli } from '../../cli/program';
import { createControlActivities } from '../../activities/control/activities';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';
import { eventually } from '../support/eventually';
import { testIo } from '../unit/cli-io';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

describeWithTemporal('a test by the schedule', () => {
  const server = temporalForTests();
  const DUE: ScheduledTestRequest = { plan: 'shop' };
  const ID = workflowId('shop', 'failover', 'test');

  const due = (
    request: ScheduledTestRequest,
    answers: Answers = {},
    meanwhile = (): Promise<unknown> => Promise.resolve(),
  ) =>
    failOverOn(server(), { ...request, mode: 'test' }, answers, {
      ...{ of: dependent(['db'], {}), type: 'scheduledTest', meanwhile },
    });
  const inPhase = (phase: string) => () => ({
    ...{ digest: '0'.repeat(64), plan: dependent(['db'], {}) },
    repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
    ...(phase === 'none' ? {} : { state: { phase, generation: 1 } }),
  });

  it('is the test failover of the plan, by its id, and waits until it is over', async () => {
    const { calls, outcome } = await due({ ...DUE, approveAll: { by: 'ada', why: 'monthly' } });
    expect(outcome).toMatchObject({ plan: 'shop', mode: 'test', vms: [{ vm: 'db' }] });
    expect(calls).toContain('noteTest');
    const run = await server().client.workflow.getHandle(ID).describe();
    expect([run.status.name, run.type]).toEqual(['COMPLETED', 'failover']);
  }, 60_000);

  it.each(['failed-over', 'failing-over', 'none'])(
    'does not take place while the plan is %s',
    async (phase) => {
      const { calls, outcome } = await due(DUE, { loadPlan: inPhase(phase) });
      expect(outcome).toEqual({
        plan: 'shop',
        skipped: expect.stringMatching(/never replicated|the plan is fail/) as string,
      });
      expect(calls).toEqual(['loadPlan']);
    },
    60_000,
  );

  it('does not take place beside one that is under way or kept', async () => {
    const other = await server().client.workflow.start('failover', {
      ...{ workflowId: ID, taskQueue: 'nobody', args: [{}] },
    });
    const { calls, outcome } = await due(DUE);
    await other.terminate();
    expect(outcome).toMatchObject({
      skipped: expect.stringContaining('under way already, or is kept') as string,
    });
    expect(calls).not.toContain('checkFailover');
  }, 60_000);

  it('waits for its hours, and looks at the plan again then', async () => {
    const windows = [new Date(Date.now() + 1500).toISOString()];
    const asked: unknown[] = [];
    const { calls, outcome } = await due(
      { ...DUE, between: '22:00-05:00', timeZone: 'Europe/Berlin' },
      {
        readWindow: (window) => {
          asked.push(window);
          const opensAt = windows.shift();
          return opensAt === undefined ? {} : { opensAt };
        },
      },
    );
    expect(outcome).toMatchObject({ mode: 'test' });
    expect(asked).toEqual([1, 2].map(() => ({ between: '22:00-05:00', timeZone: 'Europe/Berlin' })));
    expect(calls.filter((call) => call === 'loadPlan').length).toBe(3);
  }, 60_000);

  it('has hours by the clock of its time zone', async () => {
    const at = (now: string) =>
      createControlActivities({
        objectStore: () => new MemoryObjectStore(),
        repository: RUN.repository,
        now: () => new Date(now),
      });
    const berlin = { between: '22:00-05:00', timeZone: 'Europe/Berlin' };
    expect(await at('2026-11-30T12:00:00Z').readWindow(berlin)).toEqual({
      opensAt: '2026-11-30T21:00:00.000Z',
    });
    expect(await at('2026-07-01T20:30:00Z').readWindow(berlin)).toEqual({});
    await expect(async () =>
      at('2026-07-01T20:30:00Z').readWindow({ ...berlin, timeZone: 'Nowhere' }),
    ).rejects.toThrow(/Say the hours/);
  });

  it('has a schedule that is made, changed, shown and deleted', async () => {
    const client = await lifeboatClient({ client: server().client });
    const { testSchedules: schedules } = client;
    expect(await schedules.describe('shop')).toBeUndefined();
    expect(await schedules.delete('shop')).toBe(false);
    const day = 86_400;
    const before = Date.now();
    expect(await schedules.set('shop', 30 * day, { keep: 3600 })).toBe('created');
    const made = await eventually(20, async () => {
      const found = await schedules.describe('shop');
      return found?.nextTimes[0] === undefined ? undefined : found;
    });
    expect(made).toMatchObject({ frequencySeconds: 30 * day, keep: 3600, paused: false });
    expect(made).not.toHaveProperty('between');
    // The first one is not due at once.
    const first = Date.parse(made.nextTimes[0]!);
    expect(Math.abs(first - before - 30 * day * 1000)).toBeLessThan(120_000);

    await server().client.schedule.getHandle('lifeboat:shop:scheduled-test').pause('a freeze');
    expect(await schedules.set('shop', 30 * day, { between: '22:00-05:00', timeZone: 'Europe/Berlin' })).toBe(
      'updated',
    );
    const changed = await schedules.describe('shop');
    expect(changed).toMatchObject({
      between: '22:00-05:00',
      timeZone: 'Europe/Berlin',
      paused: true,
      note: 'a freeze',
    });
    expect(changed).not.toHaveProperty('keep');
    // Who changes the hours does not begin the month anew.
    expect(Date.parse(changed!.nextTimes[0] ?? made.nextTimes[0]!)).toBe(first);
    expect(await client.schedules.describe('shop')).toBeUndefined();

    const lifeboat = async (...argv: string[]) => {
      const world = testIo(
        { TEMPORAL_ADDRESS: server().address, TEMPORAL_NAMESPACE: server().namespace ?? 'default' },
        __dirname,
      );
      const environment = { ...process.env };
      Object.assign(process.env, world.io.env);
      try {
        return { code: await runCli(argv, world.io), world };
      } finally {
        process.env = environment;
      }
    };
    const shown = await lifeboat('schedule', 'show', 'shop');
    expect(shown.world.out).toMatch(
      /^The plan shop is tested every 30 d, begun 22:00-05:00 \(Europe\/Berlin\) only, but paused \(a freeze\)\.\n/,
    );
    expect(
      (await lifeboat('schedule', 'test', 'shop', '--every', '30d', '--between', 'night')).world.err,
    ).toMatch(/--between must be/);
    expect(
      (
        await lifeboat(
          'schedule',
          'test',
          'shop',
          '--every',
          '30d',
          '--between',
          '22:00-05:00',
          '--timezone',
          'Mars',
        )
      ).world.err,
    ).toMatch(/--timezone must be/);
    expect((await lifeboat('schedule', 'test', 'shop', '--every', 'monthly')).code).toBe(2);
    expect((await lifeboat('schedule', 'delete', '--test', 'shop')).world.out).toBe(
      'The schedule of tests of shop is deleted.\n',
    );
    expect(await schedules.describe('shop')).toBeUndefined();
    expect((await lifeboat('schedule', 'delete', 'shop')).code).toBe(2);
  }, 60_000);

  it('is started by its schedule', async () => {
    const client = await lifeboatClient({ client: server().client });
    await client.testSchedules.set('due', 86_400);
    const started = async () => {
      const [run] = (await client.testSchedules.describe('due'))?.recentRuns ?? [];
      return run;
    };
    await client.testSchedules.trigger('due');
    const run = await eventually(20, started);
    const description = await server().client.workflow.getHandle(run.workflowId).describe();
    expect(description.type).toBe('scheduledTest');
    expect(run.workflowId).toMatch(/^lifeboat:due:scheduled-test-/);
    await server().client.workflow.getHandle(run.workflowId).terminate();
    await client.testSchedules.delete('due');
  }, 60_000);
});
