import { ApplicationFailure } from '@temporalio/common';
import { type HookFacts, type HookResult } from '../../activities/hooks/contract';
import { hookExitCode, hooksText } from '../../cli/hook-text';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { type DrPlan, type Hook } from '../../plan/schema';
import { type FailoverRequest, type FailoverSummary } from '../../workflows/failover';
import { type FailbackSummary } from '../../workflows/failback';
import { type RunStatus } from '../../workflows/run/messages';
import { eventually } from '../support/eventually';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const TEST: FailoverRequest = { plan: 'shop', mode: 'test' };
const DISASTER: FailoverRequest = { plan: 'shop', mode: 'disaster', onFailure: 'undo' };

interface RunHookInput {
  hook: Hook;
  index: number;
  facts: HookFacts;
  outputBytes: number;
}

/** On a real Temporal server; hooks end as the tests say. web depends on db. */
describeWithTemporal("a plan's hooks", () => {
  const server = temporalForTests();

  const EVERYWHERE: Hook[] = [
    { at: 'afterVmReady', command: ['vm'] },
    { at: 'afterReady', command: ['ready'] },
    { at: 'afterDns', command: ['dns'] },
    { at: 'beforeCleanUp', command: ['before'] },
    { at: 'afterCleanUp', command: ['after'] },
  ];

  /** @param fails programs that do not end well, as long as this says so */
  async function run(
    request: FailoverRequest,
    hooks: Hook[],
    fails: (program: string, vm?: string, plan?: string) => boolean = () => false,
    { answers = {}, type = 'failover', meanwhile }: Partial<Options> = {},
  ) {
    const plan: DrPlan = { ...dependent(['db', 'web'], { web: ['db'] }), hooks };
    const dns = [{ name: 'web.shop.example', vm: 'web', address: 'private' as const, ttl: 60 }];
    plan.dns = { hostedZone: 'Z0000000000000', records: dns };
    const asked: RunHookInput[] = [];
    const calls: string[] = [];
    const done = await failOverOn(
      server(),
      request,
      {
        runHook: (input) => {
          const told = input as RunHookInput;
          const { hook, index, facts } = told;
          asked.push(told);
          const program = hook.command?.[0] ?? '';
          calls.push(`hook ${program}`);
          if (program === 'broken') throw ApplicationFailure.nonRetryable('The proxy broke.', 'Unexpected');
          const ok = !fails(program, facts.vm, facts.plan);
          return {
            ...{ id: facts.id, at: facts.at, index, what: program, required: hook.required === true, ok },
            ...(facts.vm === undefined ? {} : { vm: facts.vm }),
            ...(ok ? {} : { reason: `${program} ended with exit status 3.`, status: 3 }),
            ...{ output: 'no answer\n', startedAt: '2026-11-30T00:00:00.000Z', seconds: 1 },
          } satisfies HookResult;
        },
        ...answers,
      },
      { of: plan, calls, type, ...(meanwhile === undefined ? {} : { meanwhile }) },
    );
    return { ...done, asked, hooks: (done.outcome as FailoverSummary).hooks };
  }
  interface Options {
    answers: Answers;
    type: 'failover' | 'failback';
    meanwhile: Parameters<typeof failOverOn>[3]['meanwhile'];
  }

  const order = (calls: string[], wanted: string[]): string[] =>
    calls.filter((call) => wanted.includes(call));

  it('run in every place of a test, in order, and are told of the VMs; those that are not required fail nothing', async () => {
    const { calls, asked, hooks, outcome } = await run(TEST, EVERYWHERE, (program) => program !== 'ready');
    expect(outcome).toMatchObject({ vms: [{ vm: 'db' }, { vm: 'web' }] });
    expect(
      order(calls, [
        ...['hook vm', 'hook ready', 'hook dns', 'hook before', 'hook after'],
        ...['waitUntilReady db', 'waitUntilReady web', 'removeRecoveryResources', 'startInstance web'],
      ]),
    ).toEqual([
      ...['waitUntilReady db', 'hook vm', 'startInstance web', 'waitUntilReady web', 'hook vm'],
      ...['hook ready', 'hook before', 'removeRecoveryResources', 'hook after'],
    ]);
    expect(hooks?.map(({ at, vm }) => [at, vm])).toEqual([
      ['afterVmReady', 'db'],
      ['afterVmReady', 'web'],
      ['afterReady', undefined],
      ['beforeCleanUp', undefined],
      ['afterCleanUp', undefined],
    ]);
    const [ofDb, , ofAll] = asked.map(({ facts }) => facts);
    expect(ofDb).toMatchObject({
      ...{ version: 1, plan: 'shop', run: 'test', at: 'afterVmReady', vm: 'db' },
      id: `${ofDb!.runId}:hooks[0]:db`,
      vms: [{ vm: 'db', address: '10.0.1.20', instanceId: 'i-0123456789abcdef0' }],
    });
    expect(ofAll?.vms.map(({ vm }) => vm)).toEqual(['db', 'web']);
    expect(asked.at(-1)?.facts.vms).toEqual([]);
    expect(new Set(asked.map(({ facts }) => facts.id)).size).toBe(asked.length);
    expect(hooks?.filter(({ ok }) => !ok)).toHaveLength(4);
    expect(hooksText(hooks)).toMatch(
      /Hook afterVmReady of db: vm: failed, but not required: vm ended with exit status 3\.\n {2}no answer\n/,
    );
    expect(hooksText(hooks)).toMatch(/Hook afterReady: ready: ok after 1 s\n/);
    expect(hookExitCode(hooks)).toBe(0);
  }, 90_000);

  it('of a failover run before DNS moves and after; of one VM, or in some runs, only then', async () => {
    const { calls, asked, hooks } = await run(DISASTER, [
      ...EVERYWHERE,
      { at: 'afterVmReady', vm: 'web', command: ['web-only'], on: ['failover', 'test'] },
      { at: 'afterReady', command: ['only-test'], on: ['test'] },
      { at: 'afterReady', proxy: 'backup', http: { url: 'https://hooks.example/' } },
      { at: 'afterDns', command: ['broken'] },
    ]);
    // What the proxy cannot run at all has failed.
    const broken = expect.stringContaining('The proxy broke.') as string;
    expect(hooks?.at(-1)).toMatchObject({ ok: false, what: 'broken', reason: broken });
    expect(
      order(calls, ['hook vm', 'hook ready', 'moveDns', 'hook dns', 'hook web-only', 'checkDns']),
    ).toEqual(['hook vm', 'hook vm', 'hook web-only', 'hook ready', 'moveDns', 'checkDns', 'hook dns']);
    expect(calls).not.toContain('hook only-test');
    expect(calls).not.toContain('hook before');
    expect(asked.find(({ hook }) => hook.http !== undefined)?.facts).toMatchObject({
      run: 'failover',
      at: 'afterReady',
    });
  }, 90_000);

  it('a required one fails a test, which is removed, whatever its place', async () => {
    const hooks = EVERYWHERE.map((hook) => ({ ...hook, required: true }));
    /** The plan is named by what fails. */
    const planned = (input: object) => ({
      ...{
        digest: '0'.repeat(64),
        plan: { ...dependent(['db'], {}), name: (input as FailoverRequest).plan, hooks },
      },
      repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
    });
    const { calls, outcome } = await run(
      { ...TEST, plan: 'vm' },
      hooks,
      (program, _, plan) => program === plan,
      {
        answers: { loadPlan: planned },
        meanwhile: async () => {
          const failing = ['ready', 'before', 'after'].map(async (plan) => {
            const request = {
              workflowId: `failing-${plan}`,
              taskQueue: CONTROL_QUEUE,
              args: [{ ...TEST, plan }],
            };
            const ended = server().client.workflow.execute('failover', request);
            const failure = await ended.then(
              () => undefined,
              (error: Error) => error.cause as Error,
            );
            expect(failure?.message).toMatch(
              `${plan}) is required, and failed: ${plan} ended with exit status 3.`,
            );
          });
          await Promise.all(failing);
        },
      },
    );
    expect((outcome as Error).message).toMatch(/ of db, vm\) is required, and failed: .* It said: no answer/);
    expect(calls.filter((call) => call === 'removeRecoveryResources').length).toBeGreaterThanOrEqual(4);
    expect(calls).not.toContain('noteTest');
  }, 90_000);

  it('a required one makes a VM wait for a person, and those that have succeeded do not run again', async () => {
    let broken = true;
    const { calls, outcome } = await run(
      { ...DISASTER, onFailure: 'wait' },
      [
        { at: 'afterVmReady', vm: 'db', command: ['good'] },
        { at: 'afterVmReady', vm: 'db', command: ['bad'], required: true },
        { at: 'afterReady', command: ['last'], required: true },
      ],
      (program) => broken && program !== 'good',
      {
        meanwhile: async (workflow) => {
          const waits = (of: (status: RunStatus) => string | undefined): Promise<unknown> =>
            eventually(60, async () => {
              const status = await workflow.query<RunStatus>('status');
              return status.needsAttention ? of(status) : undefined;
            });
          await waits(({ vms }) =>
            /bad ended with exit status 3/.test(vms[0]?.detail ?? '') ? 'so' : undefined,
          );
          broken = false;
          await workflow.executeUpdate('retry', { args: [{}] });
        },
      },
    );
    expect(outcome).toMatchObject({ mode: 'disaster' });
    expect(order(calls, ['hook good', 'hook bad', 'hook last', 'startInstance web'])).toEqual([
      ...['hook good', 'hook bad', 'hook bad', 'startInstance web', 'hook last'],
    ]);
    expect((outcome as FailoverSummary).hooks?.map(({ ok }) => ok)).toEqual([true, true, true]);
  }, 90_000);

  it('a required one that fails before DNS moves takes the failover back; after it, nothing does', async () => {
    const required = (at: Hook['at'], program: string): Hook => ({ at, command: [program], required: true });
    const before = await run(DISASTER, [required('afterReady', 'check')], () => true);
    expect((before.outcome as Error).message).toMatch(/hooks\[0\] \(afterReady, check\) is required/);
    expect(before.calls).not.toContain('moveDns');
    expect(before.calls).toContain('removeRecoveryResources');

    const after = await run(
      DISASTER,
      [required('afterDns', 'tell'), required('afterDns', 'more')],
      (program) => program === 'tell',
    );
    expect(after.outcome).toMatchObject({ vms: [{ vm: 'db' }, { vm: 'web' }] });
    expect(after.calls).not.toContain('removeRecoveryResources');
    expect(after.hooks?.map(({ ok }) => ok)).toEqual([false, true]);
    expect(hookExitCode(after.hooks)).toBe(8);
  }, 90_000);

  it('of a failback run when VMs are home, and after DNS has returned', async () => {
    const failback = (hooks: Hook[], fails?: (program: string) => boolean) =>
      run(DISASTER, hooks, fails, {
        type: 'failback',
        answers: {
          loadPlan: () => ({
            digest: '0'.repeat(64),
            plan: { ...dependent(['db'], {}), hooks },
            repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
            state: { phase: 'failed-over', generation: 1 },
          }),
        },
      });
    const { calls, asked, outcome } = await failback(EVERYWHERE.slice(0, 3));
    expect(order(calls, ['hook vm', 'hook ready', 'returnDns', 'hook dns'])).toEqual([
      ...['hook vm', 'hook ready', 'hook dns'],
    ]);
    const address = dependent(['db'], {}).vms[0]!.primaryAddress;
    expect(asked[0]?.facts).toMatchObject({ run: 'failback', vm: 'db', vms: [{ vm: 'db', address }] });
    expect((outcome as unknown as FailbackSummary).hooks).toHaveLength(3);

    const failed = await failback([{ at: 'afterReady', command: ['check'], required: true }], () => true);
    expect((failed.outcome as Error).message).toMatch(/is required, and failed/);
    expect(failed.calls).toContain('startInstance db');
  }, 90_000);
});
