import { CreateTagsCommand } from '@aws-sdk/client-ec2';
import { type Client } from '@temporalio/client';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { findKeptInstances, keptInstances } from '../../activities/aws-proxy/account/kept-tests';
import { keptTestFindings } from '../../activities/aws-proxy/readiness/kept-test-findings';
import { tagKey } from '../../activities/aws-proxy/account/tags';
import { keptTestsText } from '../../cli/commands/status';
import { costText } from '../../cli/test-options';
import { keptTestsOf } from '../../client/kept-tests';
import { planSweep, sweep } from '../../client/sweep';
import { testCost } from '../../client/test-cost';
import { type DrPlan } from '../../plan/schema';
import { takePlanState } from '../../repository/plans/plan-state';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { ANY_AGE } from '../support/any-age';
import { plainPlan } from '../support/e2e-plan';
import { describeWithTemporal, startTemporal } from '../workflows/local-temporal';

const HOUR = 3600 * 1000;
const inHours = (hours: number): string => new Date(Date.now() + hours * HOUR).toISOString();

/** The Temporal server that kept the tests is lost; there is another one, which knows nothing of them. */
describeWithTemporal('kept tests whose Temporal server is lost', () => {
  let temporal: TestWorkflowEnvironment;
  let client: Client;
  let steps: FailoverSteps;
  beforeAll(async () => {
    temporal = await startTemporal();
    client = temporal.client;
  }, 60_000);
  afterAll(() => temporal?.teardown());
  beforeEach(async () => {
    steps = await openFailoverSteps();
  }, 60_000);
  afterEach(() => steps.site.stop());

  const site = () => ({ ec2: steps.ec2, store: steps.site.store, temporal: client, pollSeconds: 0.05 });
  const leftovers = async (options = {}): Promise<string[]> =>
    (await planSweep('shop', site(), ANY_AGE, options)).leftovers.map(({ id }) => id);
  const kept = () => keptTestsOf(steps.ec2, 'shop', new Date());

  /** An instance, as a test (or a failover) launches it. */
  async function launch(runId: string, test = true, attempt = 1): Promise<string> {
    const { imageId } = await steps.shellImage(runId);
    const request = steps.shellRequest(runId, imageId);
    const run = { ...request.run, ...(test ? { test } : {}) };
    return (await steps.site.activity(steps.activities.launchShell, { ...request, run, test, attempt }))
      .instanceId;
  }
  const keep = (runId: string, until: string) =>
    steps.site.activity(steps.activities.keepTest, { run: { ...steps.site.run(runId), test: true }, until });
  const tagAs = (instanceId: string, value: string) =>
    steps.ec2.send(
      new CreateTagsCommand({ Resources: [instanceId], Tags: [{ Key: tagKey('keepUntil'), Value: value }] }),
    );
  const removeOverdue = (runId = 'next') =>
    steps.site.activity(steps.activities.removeOverdueTests, {
      run: { ...steps.site.run(runId), test: true },
    });

  it('are found by their tags, and go with a sweep when their time is over, and not before', async () => {
    const instance = await launch('lost');
    expect(await leftovers()).toContain(instance);
    const until = inHours(4);
    expect(await keep('lost', until)).toEqual({ instances: [instance] });
    expect(await keep('lost', until)).toEqual({ instances: [instance] });
    const [found] = await kept();
    expect(found).toMatchObject({
      runId: 'lost',
      until,
      overdue: false,
      instances: [{ vm: 'db', instanceId: instance }],
    });
    expect(keptTestsText([found!], 'shop')).toMatch(/^The test lost is kept until .*:\n {2}db: i-/);

    // Neither the instance, nor what it runs on.
    const planned = await planSweep('shop', site(), ANY_AGE);
    expect(planned.leftovers.filter(({ kind, runId }) => kind !== 'image' && runId === 'lost')).toEqual(
      planned.leftovers.filter(({ role, kind }) => kind === 'snapshot' && role === 'shell'),
    );
    expect(await removeOverdue()).toEqual([]);
    // Whoever asks for it gets it sooner.
    expect(await leftovers({ keptTests: true })).toContain(instance);

    await tagAs(instance, new Date(Date.now() - 1000).toISOString());
    expect((await kept())[0]).toMatchObject({ overdue: true });
    const findings = async (minutes: number) =>
      keptTestFindings(
        'shop',
        await findKeptInstances(steps.ec2, 'shop'),
        new Date(Date.now() + minutes * 60_000),
      );
    expect(await findings(29)).toEqual([]);
    expect(await findings(31)).toMatchObject([{ code: 'kept-test', severity: 'warning', about: 'lost' }]);
    expect(keptTestsText(await kept(), 'shop')).toMatch(/was kept until .*lifeboat sweep shop\n/);
    const over = await planSweep('shop', site(), ANY_AGE);
    expect(over.leftovers.find(({ id }) => id === instance)?.reason).toMatch(/^its test was kept until 20/);
    expect(await sweep(over, site())).toContain(instance);
    expect(await kept()).toEqual([]);
  }, 60_000);

  it("go with the next test when their time is over, and take nothing with them that is not a test's", async () => {
    const over = await launch('lost');
    const still = await launch('kept');
    const own = await launch('next');
    // A tag that anybody may have written, on an instance of the application.
    const application = await launch('away', false);
    // And an instance that says it is a test's of the same run.
    const claimed = await launch('away', true, 2);
    await takePlanState(steps.site.store, steps.site.run('away'), ['none'], 'failed-over');
    await keep('lost', inHours(-1));
    await keep('kept', inHours(1));
    await keep('next', inHours(-1));
    await tagAs(application, inHours(-1));
    await tagAs(claimed, inHours(-2));
    const found = await removeOverdue();
    const removed = found.find(({ runId }) => runId === 'lost');
    const ofClaimed = found.filter(({ runId }) => runId !== 'lost');
    expect(ofClaimed).toMatchObject([
      { runId: 'away', removed: expect.not.arrayContaining([application]) as string[] },
    ]);
    expect(removed).toMatchObject({ runId: 'lost', removed: expect.arrayContaining([over]) as string[] });
    const states = await Promise.all(
      [over, still, own, application].map(async (id) => (await steps.describeInstance(id)).State?.Name),
    );
    expect(states).toEqual(['terminated', ...states.slice(1)]);
    for (const state of states.slice(1)) expect(state).not.toMatch(/terminated|shutting/);
    expect(await removeOverdue()).toEqual([]);
  }, 60_000);

  it('does not stand in the way of the application that a failover has brought up', async () => {
    const instance = await launch('lost');
    await keep('lost', inHours(4));
    await takePlanState(steps.site.store, steps.site.run('away'), ['none'], 'failing-over');
    const run = { ...steps.site.run('away'), generation: 1 };
    expect(await steps.site.activity(steps.activities.removeRecoverySite, { run })).toEqual({ removed: [] });
    expect(await leftovers()).not.toContain(instance);
    await tagAs(instance, inHours(-1));
    // It is of no use to what is away.
    expect(await leftovers()).toContain(instance);
  }, 60_000);

  it.each([
    ['is no time', 'for ever', undefined],
    ['is far away', '2999-01-01T00:00:00.000Z', 15],
  ])(
    'hold no longer than a test may be kept, where the tag %s',
    async (_, value, days) => {
      const instance = await launch('lost');
      await tagAs(instance, value);
      const [found] = keptInstances([await steps.describeInstance(instance)]);
      if (days === undefined) {
        expect(found).toBeUndefined();
        expect(await leftovers()).toContain(instance);
      } else expect((Date.parse(found!.until) - Date.now()) / (24 * HOUR)).toBeCloseTo(days, 1);
    },
    60_000,
  );

  it('what a test will cost is told beforehand, with what is not known', async () => {
    const plan: DrPlan = plainPlan('shop', ['db', 'web']);
    const [db, web] = plan.vms;
    db!.instanceTypes = ['m6i.large'];
    web!.instanceTypes = ['x9.huge'];
    const cost = await testCost(steps.ec2, plan, 4 * 3600);
    expect(cost).toMatchObject({
      hours: 4.5,
      instances: 2,
      volumeGib: 3,
      unknown: ['the volumes of web', 'x9.huge'],
    });
    // 4.5 hours at $ 0.096, and 3 GiB of gp3 at $ 0.08 a month.
    expect(cost.dollars).toBeCloseTo(4.5 * 0.096 + (4.5 / 730) * 3 * 0.08, 2);
    expect(costText(cost)).toBe(
      'Estimate: 0.43 $ for 4 h 30 min (2 instances, 3 GiB of volumes), by on-demand list prices of us-east-1; other Regions are up to 50 % dearer. ' +
        'Not known, and not in it: the volumes of web, x9.huge.\n',
    );
    const reads = steps.site.calls.filter(({ operation }) => !/^(Describe|Get)/.test(operation)).length;
    await testCost(steps.ec2, plan);
    expect(steps.site.calls.filter(({ operation }) => !/^(Describe|Get)/.test(operation))).toHaveLength(
      reads,
    );
  });
});
