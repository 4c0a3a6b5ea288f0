import { setTimeout as sleep } from 'node:timers/promises';
import { type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { runCli } from '../../cli/program';
import { lifeboatClient } from '../../client/client';
import { runsUnderWay } from '../../client/runs-under-way';
import { type DrPlan } from '../../plan/schema';
import { type FailoverRequest, type FailoverSummary } from '../../workflows/failover';
import { type CancelPreview, type RunStatus } from '../../workflows/run/messages';
import { eventually } from '../support/eventually';
import { testIo } from '../unit/cli-io';
import { planFolder } from '../unit/plan-file';
import { type Answers, dependent, failOverOn, type Input } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

const DISASTER: FailoverRequest = { plan: 'shop', mode: 'disaster' };
const ADA = { by: 'ada', why: 'looked at it' };

/** On a real Temporal server; what AWS would be asked is only noted. */
describeWithTemporal('decisions by people', () => {
  const server = temporalForTests();

  /** db ← web ← report, and DNS records of web and db. */
  function shop(changes: (plan: DrPlan) => void): DrPlan {
    const plan = dependent(['db', 'web', 'report'], { web: ['db'], report: ['web'] });
    plan.dns = {
      hostedZone: 'Z0000000000000',
      records: ['web', 'db'].map((vm) => ({ name: `${vm}.shop.example`, vm, address: 'private', ttl: 60 })),
    };
    changes(plan);
    return plan;
  }

  /** A failover, with a person who does `decide` while it goes on. */
  async function failOver(
    of: DrPlan,
    decide: (person: Person) => Promise<void>,
    answers: Answers = {},
    request = DISASTER,
    type: 'failover' | 'failback' = 'failover',
    workflowId?: string,
  ) {
    const calls: string[] = [];
    let workflow: WorkflowHandle | undefined;
    const { inputs, outcome } = await failOverOn(server(), request, answers, {
      ...{ of, calls, type, workflowId },
      meanwhile: async (run) => {
        workflow = run;
        try {
          await decide(personAt(run, calls));
        } catch (error) {
          // Else the run would wait for a person who has gone.
          await run.terminate().catch(() => undefined);
          throw error;
        }
      },
    });
    // A worker that has lost it all would come to the same.
    const history = await workflow?.fetchHistory();
    await Worker.runReplayHistory(
      { workflowBundle: await productBundle() },
      history ?? {},
      workflow?.workflowId,
    );
    return { calls, inputs, outcome };
  }

  type Person = ReturnType<typeof personAt>;
  function personAt(run: WorkflowHandle, calls: string[]) {
    const status = (): Promise<RunStatus> => run.query<RunStatus>('status');
    return {
      run,
      calls,
      status,
      until: (wanted: (status: RunStatus) => boolean): Promise<RunStatus> =>
        eventually(30, async () => {
          const now = await status();
          if (wanted(now)) return now;
          throw new Error(`Not as wanted: ${JSON.stringify(now)}`);
        }),
      called: (call: string): Promise<boolean> =>
        eventually(30, () => Promise.resolve(calls.includes(call) ? true : undefined)),
      decide: (name: string, request: unknown): Promise<unknown> =>
        run.executeUpdate<unknown, [unknown]>(name, { args: [request] }),
      refused: async (name: string, request: unknown): Promise<string> => {
        const error: unknown = await run.executeUpdate(name, { args: [request] }).then(
          () => undefined,
          (refusal: unknown) => refusal,
        );
        const cause = (error as Error | undefined)?.cause;
        return cause instanceof Error ? cause.message : `not refused: ${String(error)}`;
      },
      details: async (): Promise<string> => {
        const metadata = await run.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
        return metadata.currentDetails ?? '';
      },
    };
  }

  const awaits = (gate: string) => (status: RunStatus) =>
    status.awaited?.some((one) => one.gate === gate) === true;

  it('a gate holds a VM back that is prepared meanwhile, and DNS when all VMs are up, and tells for whom it waits', async () => {
    const plan = shop((of) => {
      Object.assign(of.vms[0] ?? {}, { approval: true });
      Object.assign(of.dns ?? {}, { approval: true });
    });
    const { calls, inputs, outcome } = await failOver(plan, async (person) => {
      const waiting = await person.until(awaits('VM db'));
      expect(waiting.awaited).toEqual([
        { gate: 'VM db', answer: { vm: 'db' }, what: 'start db', since: expect.any(String) as string },
      ]);
      await person.called('launchShell db');
      expect(await person.details()).toMatch(/\*\*VM db\*\* waits for approval since .*"vm":"db"/);
      // What makes no sense changes nothing.
      expect(await person.refused('approve', { vm: 'db', by: 'ada' })).toMatch(/why is missing, or is none/);
      expect(await person.refused('approve', null)).toMatch(/Say who decides, and why/);
      expect(await person.refused('approve', { dns: true, ...ADA })).toBe(
        'DNS does not wait for an approval; what waits: VM db.',
      );
      expect(person.calls).not.toContain('startInstance db');
      expect(await person.decide('approve', { vm: 'db', ...ADA })).toEqual({ gate: 'VM db' });

      await person.until(awaits('DNS'));
      expect(person.calls).toContain('waitUntilReady report');
      await sleep(300);
      expect(person.calls).not.toContain('moveDns');
      expect(await person.run.query<CancelPreview>('whatCancelTakesBack')).toEqual({
        takesBack: ['remove what the run made', "give the plan's state back"],
      });
      // There is but one.
      await person.decide('approve', { by: 'grace', why: 'the shop answers' });
    });
    expect(outcome).toMatchObject({
      approvals: [
        { gate: 'VM db', ...ADA },
        { gate: 'DNS', by: 'grace', why: 'the shop answers' },
      ],
    });
    expect(outcome).not.toHaveProperty('leftOut');
    expect(calls).toContain('moveDns');
    expect(inputs.get('movePlanState')).not.toHaveProperty('without');
  }, 60_000);

  it('a tier waits for its approval and a paused run for its end, and what is under way goes on', async () => {
    const plan = shop((of) => (of.approval = { beforeTiers: [2] }));
    let answerDb = (): void => undefined;
    const dbAnswers = new Promise<void>((resolve) => (answerDb = resolve));
    const { calls, outcome } = await failOver(
      plan,
      async (person) => {
        await person.called('waitUntilReady db');
        expect(await person.decide('pause', ADA)).toEqual({ underWay: ['db'] });
        expect((await person.status()).paused).toMatchObject(ADA);
        expect(await person.details()).toMatch(/\*\*Paused\*\* since .* by ada: looked at it/);
        expect(await person.refused('pause', ADA)).toBe('ada has paused this run already: looked at it');
        answerDb();
        await person.until(awaits('tier 2'));
        await person.decide('approve', { tier: 2, ...ADA });
        await sleep(500);
        expect(person.calls).not.toContain('startInstance web');
        await person.decide('resume', ADA);
        expect(await person.refused('resume', ADA)).toBe('This run is not paused.');
      },
      { 'waitUntilReady db': () => dbAnswers.then(() => ({ seconds: 1 })) },
    );
    expect(outcome).toMatchObject({ approvals: [{ gate: 'tier 2', ...ADA }] });
    expect(calls).toContain('startInstance report');
  }, 60_000);

  it('whoever starts a run can approve all of it', async () => {
    const plan = shop((of) => {
      of.approval = { beforeTiers: [1, 2] };
      Object.assign(of.vms[2] ?? {}, { approval: true });
    });
    const { outcome } = await failOver(
      plan,
      async () => {},
      {},
      {
        ...{ plan: 'shop', mode: 'test', approveAll: ADA },
      },
    );
    expect((outcome as FailoverSummary).approvals?.map(({ gate, by }) => [gate, by])).toEqual([
      ['tier 1', 'ada'],
      ['tier 2', 'ada'],
      ['VM report', 'ada'],
    ]);
  }, 60_000);

  const BROKEN: Answers = {
    'startInstance web': () => {
      throw ApplicationFailure.nonRetryable('It was terminated.', 'LaunchFailed');
    },
  };
  const needsAttention = ({ vms }: RunStatus): boolean =>
    vms.some(({ phase }) => phase === 'needs attention');

  it('a VM that needs attention is skipped: removed, its records left, and those that depend on it start without it', async () => {
    const { calls, inputs, outcome } = await failOver(
      shop(() => undefined),
      async (person) => {
        await person.until(needsAttention);
        expect(await person.refused('skip', { vm: 'nobody', ...ADA })).toMatch(/it has db, web, report/);
        expect(await person.refused('skip', { vm: 'db', dependents: 'start', ...ADA })).toMatch(
          /db runs already/,
        );
        expect(await person.refused('skip', { vm: 'web', ...ADA })).toMatch(/report depend on web/);
        expect(await person.decide('skip', { vm: 'web', dependents: 'start', ...ADA })).toEqual({
          skipped: ['web'],
          startWithout: ['report'],
        });
      },
      BROKEN,
    );
    expect(outcome).toMatchObject({
      vms: [{ vm: 'db' }, { vm: 'report' }],
      leftOut: [{ vm: 'web', because: 'skipped', ...ADA, dnsRecords: ['web.shop.example'] }],
    });
    // What it had is removed before others go on, and they know that it is not there.
    expect(calls.indexOf('removeRecoveryResources web')).toBeGreaterThan(
      calls.lastIndexOf('startInstance web'),
    );
    expect(calls.indexOf('injectDrivers report')).toBeGreaterThan(
      calls.indexOf('removeRecoveryResources web'),
    );
    expect(inputs.get('injectDrivers report')).toMatchObject({ without: ['web'] });
    const moved = inputs.get('moveDns') as Input & { records: { name: string }[] };
    expect(moved.records.map(({ name }) => name)).toEqual(['db.shop.example']);
    expect(inputs.get('movePlanState')).toMatchObject({ to: 'failed-over', without: ['web'] });
  }, 60_000);

  it('a VM that has not begun is skipped with those that depend on it, at once, and never all of them', async () => {
    const { calls, outcome } = await failOver(
      shop((of) => Object.assign(of.vms[0] ?? {}, { approval: true })),
      async (person) => {
        await person.until(awaits('VM db'));
        expect(await person.refused('skip', { vm: 'db', dependents: 'skip', ...ADA })).toMatch(
          /No VM of the plan would be left/,
        );
        const skipped = { skipped: ['web', 'report'], startWithout: [] };
        expect(await person.decide('skip', { vm: 'web', dependents: 'skip', ...ADA })).toEqual(skipped);
        await person.called('removeRecoveryResources report');
        expect(await person.refused('skip', { vm: 'web', ...ADA })).toBe('web is left out already.');
        await person.decide('approve', { vm: 'db', ...ADA });
      },
    );
    expect(outcome).toMatchObject({ vms: [{ vm: 'db' }], leftOut: [{ vm: 'web' }, { vm: 'report' }] });
    expect(calls.filter((call) => call.startsWith('startInstance'))).toEqual(['startInstance db']);
  }, 60_000);

  it('an optional VM that fails keeps nobody waiting, and is told', async () => {
    const plan = shop((of) => Object.assign(of.vms[1] ?? {}, { optional: true }));
    const { calls, inputs, outcome } = await failOver(plan, async () => {}, BROKEN);
    expect(outcome).toMatchObject({
      vms: [{ vm: 'db' }, { vm: 'report' }],
      leftOut: [
        { vm: 'web', because: 'failed', why: expect.stringContaining('It was terminated.') as string },
      ],
    });
    expect(calls).toContain('removeRecoveryResources web');
    expect(inputs.get('injectDrivers report')).toMatchObject({ without: ['web'] });
  }, 60_000);

  it('what waits at a gate is given up where another VM has failed for good, and all is taken back', async () => {
    const plan = shop((of) => {
      Object.assign(of.vms[2] ?? {}, { approval: true, dependsOn: ['db'] });
    });
    const { calls, outcome } = await failOver(plan, async () => {}, BROKEN, {
      ...DISASTER,
      onFailure: 'undo',
    });
    expect(outcome).toMatchObject({
      message: expect.stringMatching(
        /web: .*It was terminated\.(.|\n)*report: not started, as web failed/,
      ) as string,
    });
    expect(calls).not.toContain('startInstance report');
    expect(calls.at(-1)).toBe('movePlanState');
  }, 60_000);

  it('a failback stops nothing, and moves no DNS, before it is approved, and leaves those out that the failover left out', async () => {
    const plan = shop((of) => {
      of.approval = { cutOver: true };
      Object.assign(of.dns ?? {}, { approval: true });
    });
    const { calls, outcome } = await failOver(
      plan,
      async (person) => {
        await person.until(awaits('cut-over'));
        await sleep(300);
        expect(person.calls).not.toContain('stopInstance db');
        await person.decide('pause', ADA);
        await person.decide('approve', { cutOver: true, ...ADA });
        await sleep(300);
        expect(person.calls).not.toContain('stopInstance db');
        await person.decide('resume', ADA);
        await person.until(awaits('DNS'));
        expect(await person.refused('pause', ADA)).toMatch(/^The instances are being stopped, or are/);
        expect(person.calls).toContain('stopInstance db');
        expect(person.calls).not.toContain('returnDns');
        await person.decide('approve', { dns: true, ...ADA });
      },
      {
        loadPlan: () => ({
          ...{ digest: '0'.repeat(64), plan },
          repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
          state: { phase: 'failed-over', generation: 1, without: ['web'] },
        }),
      },
      // What a failback takes of a request is the plan.
      { ...DISASTER },
      'failback',
    );
    expect(outcome).toMatchObject({
      vms: [{ vm: 'db' }, { vm: 'report' }],
      leftOut: ['web'],
      approvals: [{ gate: 'cut-over' }, { gate: 'DNS' }],
    });
    expect(calls).toContain('returnDns');
    expect(calls.some((call) => call.endsWith(' web'))).toBe(false);
  }, 60_000);

  it('the commands do all that from a terminal, and cancelling tells beforehand what goes', async () => {
    const folder = planFolder();
    const environment = { ...process.env };
    Object.assign(process.env, {
      ...{ TEMPORAL_ADDRESS: server().address, TEMPORAL_NAMESPACE: server().namespace ?? 'default' },
      ...{ AWS_ENDPOINT_URL: 'http://127.0.0.1:9', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' },
    });
    const lifeboat = async (argv: string[], ask?: (question: string) => Promise<string>) => {
      const world = testIo(process.env, folder.directory);
      const code = await runCli(argv, ask === undefined ? world.io : { ...world.io, ask });
      return { code, world };
    };
    const reason = ['--reason', 'looked at it', '--by', 'ada'];
    try {
      const { outcome, calls } = await failOver(
        shop((of) => (of.approval = { beforeTiers: [2] })),
        async (person) => {
          const { file } = folder;
          await person.until(awaits('tier 2'));
          await lifeboat(['pause', file, ...reason]);
          expect((await person.status()).paused).toMatchObject(ADA);
          await lifeboat(['resume', file, ...reason]);
          expect((await person.status()).paused).toBeUndefined();
          await lifeboat(['skip', file, '--vm', 'report', ...reason]);
          await person.until(({ vms }) =>
            vms.some(({ vm, phase }) => vm === 'report' && phase === 'skipped'),
          );
          const client = await lifeboatClient({ client: server().client });
          const runs = await runsUnderWay(client, 'shop');
          expect(runs.map(({ type, status }) => [type, status?.awaited?.[0]?.gate])).toEqual([
            ['failover', 'tier 2'],
          ]);
          await lifeboat(['approve', file, '--tier', '2', ...reason]);
          await person.until(needsAttention);

          const asked: string[] = [];
          const no = await lifeboat(['cancel', file], (question) =>
            Promise.resolve(asked.push(question) > 0 ? 'no' : ''),
          );
          expect(no.code).toBe(1);
          expect(no.world.err).toMatch(
            /Cancelling lifeboat:shop:failover takes back, in this order:\n {2}remove what the run made\n {2}give the plan's state back\n/,
          );
          expect(asked).toEqual(['Cancel it? Type yes: ']);
          expect((await lifeboat(['cancel', file])).code).toBe(2);
          expect((await person.run.describe()).status.name).toBe('RUNNING');
          expect((await lifeboat(['cancel', file, '--yes'])).code).toBe(0);
        },
        BROKEN,
        DISASTER,
        'failover',
        'lifeboat:shop:failover',
      );
      expect(outcome).toMatchObject({ name: 'CancelledFailure' });
      expect(calls.slice(-2)).toEqual(['removeRecoveryResources', 'movePlanState']);
    } finally {
      process.env = environment;
      folder.remove();
    }
  }, 90_000);
});
