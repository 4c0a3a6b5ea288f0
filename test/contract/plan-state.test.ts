import { createHash } from 'node:crypto';
import { createControlActivities } from '../../activities/control/activities';
import { type PlanPhase, type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { canonicalJson, DamagedObjectError } from '../../repository/objects/json-object';
import { ConflictError, type ObjectStore } from '../../repository/objects/object-store';
import {
  checkPlanState,
  FencedError,
  movePlanState,
  readPlanState,
  takePlanState,
  WrongPhaseError,
} from '../../repository/plans/plan-state';
import { loadBootScript, loadPlan, PlanNotFoundError, publishPlan } from '../../repository/plans/plans';
import { failureOf, runActivity } from './run-activity';
import { shopPlan, startTestAccount, type TestAccount } from './test-account';

let account: TestAccount;
let store: ObjectStore;

beforeAll(async () => {
  account = await startTestAccount();
});
afterAll(() => account.close());
beforeEach(() => {
  // A prefix of its own for every test: a repository that nothing was ever written to.
  store = account.newRepository().store;
});

const run = (runId: string): Omit<RunContext, 'generation'> => ({
  plan: 'shop',
  digest: 'a'.repeat(64),
  repository: account.repository,
  runId,
});

/** A store in which something happens between a run's reading of an object and its writing. */
function interrupted(inner: ObjectStore, between: () => Promise<unknown>): ObjectStore {
  let pending: (() => Promise<unknown>) | undefined = between;
  return {
    ...inner,
    async get(key) {
      const object = await inner.get(key);
      const happen = pending;
      pending = undefined;
      await happen?.();
      return object;
    },
  };
}

describe('the plan state', () => {
  it('remembers the line that a failover to an older point turned away from, and whose way home says which goes on', async () => {
    const chosen = { at: '2026-11-23T17:30:00Z', after: '2026-11-23T17:15:00.000Z' };
    const held = async (
      id: string,
      from: Parameters<typeof takePlanState>[2],
      to: PlanPhase,
      line?: typeof chosen,
    ) => {
      const { generation } = await takePlanState(store, run(id), from, to, {
        ...(line === undefined ? {} : { chosen: line }),
      });
      return { ...run(id), generation };
    };
    await held('replication', ['none'], 'protected');
    const taken = await held('taken-back', ['protected'], 'failing-over', chosen);
    expect(await readPlanState(store, 'shop')).toMatchObject({ chosen });
    await movePlanState(store, taken, 'protected');
    expect(await readPlanState(store, 'shop')).not.toHaveProperty('chosen');
    expect(await readPlanState(store, 'shop')).not.toHaveProperty('turnedAway');

    const died = await held('died', ['protected'], 'failing-over', chosen);
    expect(died.generation).toBe(3);
    const failover = await held('failover', ['failing-over'], 'failing-over', {
      ...chosen,
      at: '2026-11-23T17:20:00Z',
    });
    await movePlanState(store, failover, 'failed-over');
    const failback = await held('failback', ['failed-over'], 'failing-back');
    await movePlanState(store, failback, 'failed-back');
    const commit = await held('commit', ['failed-back'], 'failed-back');
    expect(await readPlanState(store, 'shop')).toMatchObject({ chosen: { at: '2026-11-23T17:20:00Z' } });
    await movePlanState(store, commit, 'protected');
    await held('replication-2', ['protected'], 'protected');
    const state = await readPlanState(store, 'shop');
    expect(state).not.toHaveProperty('chosen');
    expect(state?.turnedAway).toEqual([
      { after: chosen.after, until: expect.stringMatching(/^20.*Z$/) as string },
    ]);

    const again = await held('again', ['protected'], 'failing-over', chosen);
    await movePlanState(store, again, 'failed-over');
    const undo = { undoing: 'failover' as const };
    const { generation: undoing } = await takePlanState(
      store,
      run('undo'),
      ['failed-over'],
      'failing-back',
      undo,
    );
    await movePlanState(store, { ...run('undo'), generation: undoing }, 'failed-back');
    expect(await readPlanState(store, 'shop')).toMatchObject({ chosen: { ...chosen, undone: true } });
    await held('commits for it', ['failed-back'], 'failed-back');
    const { generation: last } = (await readPlanState(store, 'shop'))!;
    await movePlanState(store, { ...run('commits for it'), generation: last }, 'protected');
    expect((await readPlanState(store, 'shop'))?.turnedAway).toEqual(state?.turnedAway);
    expect(await readPlanState(store, 'shop')).not.toHaveProperty('chosen');

    const plain = await held('plain', ['protected'], 'failing-over');
    await movePlanState(store, plain, 'failed-over');
    expect((await readPlanState(store, 'shop'))?.turnedAway).toEqual(state?.turnedAway);
  });

  it('begins with generation 1 and rises by one with every taking', async () => {
    const first = await takePlanState(store, run('run-a'), ['none'], 'protected');
    expect(first).toMatchObject({ plan: 'shop', phase: 'protected', generation: 1, runId: 'run-a' });
    const second = await takePlanState(store, run('run-b'), ['protected'], 'failing-over');
    expect(second).toMatchObject({ phase: 'failing-over', generation: 2, runId: 'run-b' });
    expect(await readPlanState(store, 'shop')).toEqual(second);
  });

  it('gives the run that holds it what it holds, whatever phase it came from', async () => {
    const taken = await takePlanState(store, run('run-a'), ['none'], 'failing-over');
    expect(await takePlanState(store, run('run-a'), ['none'], 'failing-over')).toEqual(taken);
  });

  it('is taken once by a run, however late a call of it comes', async () => {
    const mine = await takePlanState(store, run('run-a'), ['none', 'protected'], 'failing-over');
    // Undone: nobody works on the failover that a late call would begin.
    const undone = await movePlanState(store, { ...run('run-a'), generation: mine.generation }, 'protected');
    const late = () => takePlanState(store, run('run-a'), ['none', 'protected'], 'failing-over');
    await expect(late()).rejects.toThrow(FencedError);
    await expect(late()).rejects.toThrow(/moved it on to "protected"/);
    expect(await readPlanState(store, 'shop')).toEqual(undone);
    // Others have had it since, many times.
    for (let n = 0; n < 60; n++) {
      await takePlanState(store, run(`run-${n}`), ['protected'], 'protected');
      if (n === 40) await expect(late()).rejects.toThrow(FencedError);
    }
    const { formerRunIds } = (await readPlanState(store, 'shop')) ?? {};
    expect(formerRunIds).toHaveLength(50);
  });

  it('is refused in a phase that the run may not begin from, and stays as it is', async () => {
    const held = await takePlanState(store, run('run-a'), ['none'], 'failed-over');
    const refused = takePlanState(store, run('run-b'), ['none', 'protected'], 'protected');
    await expect(refused).rejects.toThrow(WrongPhaseError);
    await expect(refused).rejects.toThrow(/"failed-over".*"protected"/);
    expect(await readPlanState(store, 'shop')).toEqual(held);
  });

  it('goes to one of two contenders only', async () => {
    await takePlanState(store, run('run-0'), ['none'], 'protected');
    const contenders = ['run-a', 'run-b'].map((id) =>
      takePlanState(store, run(id), ['protected'], 'failing-over'),
    );
    const [won, lost] = [...(await Promise.allSettled(contenders))].sort((a) =>
      a.status === 'fulfilled' ? -1 : 1,
    );
    expect(won).toMatchObject({ status: 'fulfilled', value: { generation: 2 } });
    expect(lost).toMatchObject({ status: 'rejected' });
    expect((lost as PromiseRejectedResult).reason).toBeInstanceOf(WrongPhaseError);
  });

  it('goes to the faster one, though both had read it when neither had written', async () => {
    await takePlanState(store, run('run-0'), ['none'], 'protected');
    const slow = interrupted(store, () => takePlanState(store, run('fast'), ['protected'], 'failing-over'));
    await expect(takePlanState(slow, run('slow'), ['protected'], 'failing-over')).rejects.toThrow(
      WrongPhaseError,
    );
    expect(await readPlanState(store, 'shop')).toMatchObject({ runId: 'fast', generation: 2 });
  });

  it('goes to one of two contenders for a plan without a state', async () => {
    const slow = interrupted(store, () => takePlanState(store, run('fast'), ['none'], 'failing-over'));
    await expect(takePlanState(slow, run('slow'), ['none'], 'failing-over')).rejects.toThrow(WrongPhaseError);
    expect(await readPlanState(store, 'shop')).toMatchObject({ runId: 'fast', generation: 1 });
  });

  it('gives every one of many runs a generation of its own', async () => {
    const ids = Array.from({ length: 6 }, (_, index) => `run-${index}`);
    const states = await Promise.all(
      ids.map((id) => takePlanState(store, run(id), ['none', 'protected'], 'protected')),
    );
    expect(states.map(({ generation }) => generation).sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is not taken twice by a run whose reply was lost', async () => {
    const losing: ObjectStore = {
      ...store,
      async putNew(key, body) {
        await store.putNew(key, body);
        throw new ConflictError(key);
      },
    };
    expect(await takePlanState(losing, run('run-a'), ['none'], 'protected')).toMatchObject({
      runId: 'run-a',
      generation: 1,
    });
  });

  it('fences the old run off when another takes it', async () => {
    const old = await takePlanState(store, run('old'), ['none'], 'failing-over');
    const oldRun = { ...run('old'), generation: old.generation };
    await checkPlanState(store, oldRun);
    const taken = await takePlanState(store, run('new'), ['failing-over'], 'failing-over');

    await expect(checkPlanState(store, oldRun)).rejects.toThrow(FencedError);
    await expect(movePlanState(store, oldRun, 'failed-over')).rejects.toThrow(/run new .*generation 2/);
    expect(await readPlanState(store, 'shop')).toEqual(taken);
    await checkPlanState(store, { ...run('new'), generation: taken.generation });
  });

  it('fences off a run that had read it before the other took it', async () => {
    const old = await takePlanState(store, run('old'), ['none'], 'failing-over');
    const slow = interrupted(store, () => takePlanState(store, run('new'), ['failing-over'], 'failing-over'));
    await expect(
      movePlanState(slow, { ...run('old'), generation: old.generation }, 'failed-over'),
    ).rejects.toThrow(FencedError);
    expect(await readPlanState(store, 'shop')).toMatchObject({ runId: 'new', phase: 'failing-over' });
  });

  it('moves on within its generation', async () => {
    const { generation } = await takePlanState(store, run('run-a'), ['none'], 'failing-over');
    const holder = { ...run('run-a'), generation };
    expect(await movePlanState(store, holder, 'failed-over')).toMatchObject({
      phase: 'failed-over',
      generation,
    });
    expect(await movePlanState(store, holder, 'failed-over')).toMatchObject({
      phase: 'failed-over',
      generation,
    });
    await checkPlanState(store, holder);
  });

  it('knows which VMs a failover left out until the application is home for good, and no longer', async () => {
    const holding = async (runId: string, from: PlanPhase[], to: PlanPhase) => ({
      ...run(runId),
      generation: (await takePlanState(store, run(runId), from, to)).generation,
    });
    const without = async (): Promise<string[] | undefined> => (await readPlanState(store, 'shop'))?.without;
    await takePlanState(store, run('restore'), ['none'], 'protected');
    const over = await holding('over', ['protected'], 'failing-over');
    await movePlanState(store, over, 'failed-over', { without: ['web'] });
    expect(await without()).toEqual(['web']);
    // There and back.
    const back = await holding('back', ['failed-over'], 'failing-back');
    expect(await without()).toEqual(['web']);
    await movePlanState(store, back, 'failed-over');
    expect(await without()).toEqual(['web']);
    const home = await holding('home', ['failed-over'], 'failing-back');
    await movePlanState(store, home, 'failed-back');
    const commit = await holding('commit', ['failed-back'], 'failed-back');
    expect(await without()).toEqual(['web']);
    await movePlanState(store, commit, 'protected');
    expect(await without()).toBeUndefined();
    // A failover that takes a dead one over begins anew.
    const other = await holding('other', ['protected'], 'failing-over');
    await movePlanState(store, other, 'failed-over', { without: [] });
    expect(await without()).toBeUndefined();
  });

  it.each([
    ['no JSON', 'protected'],
    ['a phase that there is not', JSON.stringify({ plan: 'shop', phase: 'fine', generation: 1 })],
    [
      'the state of another plan',
      JSON.stringify({
        plan: 'other',
        phase: 'protected',
        generation: 1,
        digest: 'a'.repeat(64),
        runId: 'x',
        updatedAt: '2026-01-01T00:00:00.000Z',
      }),
    ],
  ])('is not believed where it is %s', async (_what, body) => {
    await store.put('state/shop.json', Buffer.from(body));
    await expect(takePlanState(store, run('run-a'), ['none', 'protected'], 'protected')).rejects.toThrow(
      DamagedObjectError,
    );
  });
});

describe('published plans', () => {
  const script = Buffer.from('#!/bin/sh\necho recovered\n');
  const sha256 = createHash('sha256').update(script).digest('hex');
  const withScript = (): DrPlan => {
    const plan = shopPlan();
    const [first, ...rest] = plan.vms;
    return {
      ...plan,
      vms: [{ ...first!, bootScript: { name: 'start.sh', sha256, timeout: 60, required: true } }, ...rest],
    };
  };

  it('are found by name and by digest, with their boot scripts', async () => {
    const plan = withScript();
    const { digest } = await publishPlan(store, plan, [{ sha256, content: script }]);
    expect(await loadPlan(store, 'shop')).toEqual({ digest, plan });
    expect(await loadPlan(store, 'shop', digest)).toEqual({ digest, plan });
    expect(await loadBootScript(store, { name: 'start.sh', sha256 })).toEqual(script);
  });

  it('keep their digest whatever the order of their keys', async () => {
    const plan = shopPlan();
    const { digest } = await publishPlan(store, plan, []);
    const turned = Object.fromEntries(Object.entries(plan).reverse()) as unknown as DrPlan;
    expect(await publishPlan(store, turned, [])).toEqual({ digest });
  });

  it('give new runs the newest version, and old runs theirs', async () => {
    const first = await publishPlan(store, shopPlan(), []);
    const changed = { ...shopPlan(), replication: { frequency: 900, copy: 'volume' as const } };
    const second = await publishPlan(store, changed, []);
    expect(second.digest).not.toBe(first.digest);
    expect(await loadPlan(store, 'shop')).toMatchObject({ digest: second.digest, plan: changed });
    expect(await loadPlan(store, 'shop', first.digest)).toMatchObject({ plan: shopPlan() });
  });

  it('are not published without their boot scripts', async () => {
    await expect(publishPlan(store, withScript(), [])).rejects.toThrow(/start\.sh/);
    const other = Buffer.from('#!/bin/sh\nrm -rf /\n');
    await expect(publishPlan(store, withScript(), [{ sha256, content: other }])).rejects.toThrow(sha256);
    await expect(loadPlan(store, 'shop')).rejects.toThrow(PlanNotFoundError);
  });

  it('are not believed where their bytes are not those of the digest', async () => {
    const { digest } = await publishPlan(store, shopPlan(), []);
    const evil = { ...shopPlan(), repository: { bucket: 'somebody-elses', prefix: '' } };
    await store.put(`plans/${digest}.json`, Buffer.from(canonicalJson(evil)));
    await expect(loadPlan(store, 'shop')).rejects.toThrow(DamagedObjectError);
  });

  it('are not believed under the name of another plan', async () => {
    const { digest } = await publishPlan(store, { ...shopPlan(), name: 'other' }, []);
    const pointer = JSON.stringify({ digest, publishedAt: new Date().toISOString() });
    await store.put('plans/by-name/shop.json', Buffer.from(pointer));
    await expect(loadPlan(store, 'shop')).rejects.toThrow(/it is the plan "other"/);
  });

  it('are not believed where somebody stored a plan that no check would pass', async () => {
    const plan = shopPlan();
    const circular = { ...plan, vms: plan.vms.map((vm) => ({ ...vm, dependsOn: [vm.name] })) };
    const json = canonicalJson(circular);
    const digest = createHash('sha256').update(json).digest('hex');
    await store.put(`plans/${digest}.json`, Buffer.from(json));
    await expect(loadPlan(store, 'shop', digest)).rejects.toThrow(/depends on itself/);
    await store.put(`plans/${digest}.json`, Buffer.from('{"name": "shop"}'));
    await expect(loadPlan(store, 'shop', digest)).rejects.toThrow(DamagedObjectError);
  });

  it('have boot scripts that nobody can exchange', async () => {
    await publishPlan(store, withScript(), [{ sha256, content: script }]);
    await store.put(`plans/scripts/${sha256}`, Buffer.from('#!/bin/sh\nrm -rf /\n'));
    await expect(loadBootScript(store, { name: 'start.sh', sha256 })).rejects.toThrow(DamagedObjectError);
    await expect(loadBootScript(store, { name: 'start.sh', sha256: '../../x' })).rejects.toThrow(
      DamagedObjectError,
    );
  });

  it.each(['../shop', 'Shop', '', 'by-name/shop'])('are not looked for under the name "%s"', async (name) => {
    await expect(loadPlan(store, name)).rejects.toThrow(PlanNotFoundError);
  });
});

describe('the control activities', () => {
  it('give a run its plan, where it lives, and its state', async () => {
    const { address } = account.newRepository();
    const activities = createControlActivities({ objectStore: account.objectStore, repository: address });
    const { digest } = await publishPlan(account.objectStore(address), shopPlan(), []);
    const before = await runActivity(activities.loadPlan, { plan: 'shop' });
    expect(before).toEqual({ digest, plan: shopPlan(), repository: address });

    const context = { plan: 'shop', digest, repository: address, runId: 'run-a' };
    const state = await runActivity(activities.takePlanState, {
      run: context,
      from: ['none'],
      to: 'protected',
    });
    expect(await runActivity(activities.loadPlan, { plan: 'shop', digest })).toMatchObject({ state });
  });

  it('refuse with types that no retry policy tries again', async () => {
    const { address, store: empty } = account.newRepository();
    const activities = createControlActivities({ objectStore: account.objectStore, repository: address });
    const context = { plan: 'shop', digest: 'a'.repeat(64), repository: address, runId: 'run-a' };

    const missing = await failureOf(runActivity(activities.loadPlan, { plan: 'shop' }));
    expect(missing).toMatchObject({ type: 'PlanNotFound', nonRetryable: true });
    const wrong = await failureOf(
      runActivity(activities.takePlanState, { run: context, from: ['protected'], to: 'failing-over' }),
    );
    expect(wrong).toMatchObject({ type: 'WrongPhase', nonRetryable: true });
    const fenced = await failureOf(
      runActivity(activities.checkPlanState, { run: { ...context, generation: 1 } }),
    );
    expect(fenced).toMatchObject({ type: 'Fenced', nonRetryable: true });
    await empty.put('plans/by-name/shop.json', Buffer.from('{}'));
    const damaged = await failureOf(runActivity(activities.loadPlan, { plan: 'shop' }));
    expect(damaged).toMatchObject({ type: 'DamagedObject', nonRetryable: true });
  });
});
