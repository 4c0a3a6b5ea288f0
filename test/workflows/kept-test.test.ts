import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { runCli } from '../../cli/program';
import { lifeboatClient } from '../../client/client';
import { type DrPlan } from '../../plan/schema';
import { planDigest } from '../../repository/plans/plans';
import { type FailoverRequest, type FailoverSummary } from '../../workflows/failover';
import { type RunStatus } from '../../workflows/run/messages';
import { workflowId } from '../../workflows/run/ids';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { eventually } from '../support/eventually';
import { testIo } from '../unit/cli-io';
import { planFolder, planOf } from '../unit/plan-file';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, startTemporal, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

const TEST: FailoverRequest = { plan: 'shop', mode: 'test' };
const ADA = { by: 'ada', why: 'seen enough' };

/** On a real Temporal server; what AWS would be asked is only noted. web depends on db. */
describeWithTemporal('a test that is kept', () => {
  const server = temporalForTests();
  const shop = (): DrPlan => dependent(['db', 'web', 'alone'], { web: ['db'] });

  async function test(
    request: FailoverRequest,
    meanwhile: (run: WorkflowHandle, calls: string[]) => Promise<unknown> = () => Promise.resolve(),
    answers: Answers = {},
    of = shop(),
    id?: string,
  ) {
    const calls: string[] = [];
    let workflow: WorkflowHandle | undefined;
    const done = await failOverOn(
      server(),
      request,
      { removeRecoveryResources: () => ({ removed: ['i-1'] }), ...answers },
      {
        ...{ of, calls, workflowId: id },
        meanwhile: async (run) => {
          workflow = run;
          try {
            await meanwhile(run, calls);
          } catch (error) {
            await run.terminate().catch(() => undefined);
            throw error;
          }
        },
      },
    );
    // A worker that has lost it all would come to the same.
    const history = await workflow?.fetchHistory();
    await Worker.runReplayHistory(
      { workflowBundle: await productBundle() },
      history ?? {},
      workflow?.workflowId,
    );
    return done;
  }

  const untilKept = (run: WorkflowHandle): Promise<RunStatus> =>
    eventually(60, async () => {
      const status = await run.query<RunStatus>('status');
      return status.kept === undefined ? undefined : status;
    });
  const endTest = (run: WorkflowHandle, request: unknown): Promise<unknown> =>
    run.executeUpdate<unknown, [unknown]>('endTest', { args: [request] });
  const refusal = (run: WorkflowHandle, request: unknown): Promise<string> =>
    endTest(run, request).then(
      () => 'not refused',
      (error: Error) => (error.cause as Error | undefined)?.message ?? error.message,
    );

  it('stays up, tells what it has come to, and is removed when somebody ends it', async () => {
    const { calls, inputs, outcome } = await test({ ...TEST, keep: 4 * 3600 }, async (run, calls) => {
      const { phase, kept, vms } = await untilKept(run);
      expect(phase).toMatch(/^ready after .*; kept until /);
      expect(vms.map(({ phase }) => phase)).toEqual(['ready', 'ready', 'ready']);
      const span = Date.parse(kept!.until) - Date.parse(kept!.since);
      expect(span).toBe(4 * 3600 * 1000);
      // At once, and not only at the end: it is proven, and would be kept from replication's way.
      expect(calls).toContain('noteTest');
      expect(calls).not.toContain('removeRecoveryResources');
      const soFar = await run.query<FailoverSummary>('keptTest');
      expect(soFar).toMatchObject({ kept, removed: [] });
      expect(soFar.vms.map(({ vm }) => vm).sort()).toEqual(['alone', 'db', 'web']);
      expect(soFar.kept).not.toHaveProperty('endedAt');
      const { currentDetails } = await run.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
      expect(currentDetails).toMatch(/\*\*Kept\*\* until .*`endTest`.*lifeboat test end/);

      expect(await refusal(run, { by: 'ada' })).toMatch(/why is missing/);
      await endTest(run, ADA);
    });
    expect(outcome).toMatchObject({ kept: { endedBy: ADA }, removed: ['i-1'] });
    expect(inputs.get('keepTest')).toMatchObject({ run: { test: true } });
    const { until } = inputs.get('keepTest') as unknown as { until: string };
    expect((outcome as FailoverSummary).kept).toMatchObject({ until });
    expect(calls.filter((call) => call === 'noteTest')).toHaveLength(1);
    expect(calls.filter((call) => call === 'removeRecoveryResources')).toHaveLength(1);
  }, 90_000);

  it('has no images any more that would keep replication from its snapshots, and stands in no way of a failover', async () => {
    const drCopies = ['db', 'web', 'alone'].map((vm) => ({
      ...{ vm, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [] },
      configuration: { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] },
      launchCopy: { snapshots: [{ diskKey: 'system', snapshotId: 'snap-0123456789abcdef0' }] },
    }));
    const launched = { instanceId: 'i-1', privateAddress: '10.0.1.20', availabilityZone: 'eu-central-1a' };
    const { outcome } = await test(
      { ...TEST, keep: 3600 },
      async (run, calls) => {
        await untilKept(run);
        expect(calls.indexOf('deregisterImages')).toBeGreaterThan(0);
        expect(calls.indexOf('deregisterImages')).toBeLessThan(calls.indexOf('keepTest'));
        const request = {
          workflowId: 'beside',
          taskQueue: CONTROL_QUEUE,
          args: [{ ...TEST, mode: 'disaster' }],
        };
        const beside = (await server().client.workflow.execute('failover', request)) as FailoverSummary;
        expect(beside).toMatchObject({ mode: 'disaster', vms: [{}, {}, {}] });
        expect(calls.filter((call) => call === 'removeOverdueTests')).toHaveLength(1);
        expect(calls).not.toContain('removeRecoveryResources');
        expect((await run.query<RunStatus>('status')).kept).toBeDefined();
        await endTest(run, ADA);
      },
      {
        checkFailover: () => ({ availabilityZone: 'eu-central-1a', drCopies }),
        registerImage: () => ({ imageId: 'ami-0123456789abcdef1' }),
        launchInstance: () => launched,
        deregisterImages: () => undefined,
      },
    );
    expect(outcome).toMatchObject({ kept: { endedBy: ADA } });
  }, 90_000);

  it('ends by itself when its time is over, and cannot be ended before it is ready', async () => {
    let ready = (): void => undefined;
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    const { outcome } = await test(
      // All of them are no part.
      { ...TEST, keep: 1, vms: ['web', 'alone'] },
      async (run, calls) => {
        await eventually(60, () => Promise.resolve(calls.includes('waitUntilReady alone') || undefined));
        expect(await refusal(run, ADA)).toMatch(/not ready yet; cancel it instead/);
        ready();
      },
      {
        'waitUntilReady alone': () => isReady.then(() => ({ seconds: 1 })),
        // What cannot be removed keeps nobody from testing.
        removeOverdueTests: () => {
          throw ApplicationFailure.nonRetryable('You may not.', 'NotPermitted');
        },
      },
    );
    expect(outcome).toMatchObject({ kept: { endedAt: expect.any(String) as string }, removed: ['i-1'] });
    expect((outcome as FailoverSummary).kept).not.toHaveProperty('endedBy');
    expect(outcome).toMatchObject({ notes: [expect.stringContaining('You may not.') as string] });
    expect(outcome).not.toHaveProperty('part');
  }, 90_000);

  it('is removed where it is cancelled, and told of where it could not be marked', async () => {
    const { calls, outcome } = await test(
      { ...TEST, keep: 3600 },
      async (run) => {
        await untilKept(run);
        const { notes } = await run.query<FailoverSummary>('keptTest');
        expect(notes).toEqual([
          expect.stringMatching(/could not be marked as kept .*ec2:CreateTags is not allowed/),
        ]);
        await run.cancel();
      },
      {
        keepTest: () => {
          throw ApplicationFailure.nonRetryable('ec2:CreateTags is not allowed.', 'NotPermitted');
        },
      },
    );
    expect(outcome).toMatchObject({ name: 'CancelledFailure' });
    expect(calls.at(-1)).toBe('removeRecoveryResources');
  }, 90_000);

  it('outlives its workers and its Temporal server, where that has its database', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lifeboat-kept-'));
    const dbFilename = join(directory, 'temporal.db');
    const kept = 'kept-over-a-restart';
    const done = { removeRecoveryResources: () => ({ removed: ['i-1'] }) };
    const options = { of: dependent(['db'], {}) };
    try {
      const first = await startTemporal({ dbFilename });
      await failOverOn(first, { ...TEST, keep: 3600 }, done, {
        ...{ ...options, workflowId: kept, leave: true, meanwhile: untilKept },
      });
      await first.teardown();

      const second = await startTemporal({ dbFilename });
      try {
        const calls: string[] = [];
        await failOverOn(second, { ...TEST, keep: -1 }, done, {
          ...{ ...options, calls },
          meanwhile: async () => {
            const run = second.client.workflow.getHandle<() => Promise<FailoverSummary>>(kept);
            expect((await untilKept(run)).phase).toMatch(/; kept until /);
            expect(calls).not.toContain('removeRecoveryResources');
            await endTest(run, ADA);
            expect(await run.result()).toMatchObject({ kept: { endedBy: ADA }, removed: ['i-1'] });
          },
        });
        // Nothing was made anew.
        expect(calls).not.toContain('launchShell db');
      } finally {
        await second.teardown();
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 120_000);

  it('of a part of the plan brings up what that depends on, and does not count as a test of the plan; and begins by removing tests whose time is over', async () => {
    const overdue = { runId: 'lost', until: '2026-11-30T00:00:00.000Z', removed: ['i-9', 'vol-9'] };
    const { calls, inputs, outcome } = await test({ ...TEST, vms: ['web'] }, undefined, {
      removeOverdueTests: () => [overdue],
    });
    expect(calls.indexOf('removeOverdueTests')).toBeLessThan(calls.indexOf('checkFailover'));
    expect(outcome).toMatchObject({
      notes: [expect.stringMatching(/The test lost was kept until 2026-11-30.* 2 resources/) as string],
    });
    expect(outcome).not.toHaveProperty('kept');
    expect(calls).not.toContain('keepTest');
    expect(outcome).toMatchObject({ part: ['db', 'web'], vms: [{ vm: 'db' }, { vm: 'web' }] });
    expect(calls.some((call) => call.endsWith(' alone'))).toBe(false);
    expect(calls).not.toContain('noteTest');
    const { plan, whole } = inputs.get('checkFailover') as unknown as { plan: DrPlan; whole: DrPlan };
    expect([plan.vms.length, whole.vms.length]).toEqual([2, 3]);
  }, 90_000);

  it('is refused at once where it makes no sense', async () => {
    const refused: [unknown, RegExp][] = [
      [{ ...TEST, keep: 0 }, /Say in seconds for how long/],
      [{ ...TEST, keep: '4h' }, /Say in seconds/],
      [{ ...TEST, keep: 15 * 86_400 }, /14 days/],
      [{ plan: 'shop', mode: 'disaster', keep: 60 }, /Only a test/],
      [{ plan: 'shop', mode: 'planned', vms: ['db'] }, /Only a test/],
      [{ ...TEST, vms: ['dbb'] }, /there is no VM "dbb" in this plan; did you mean "db"/],
      [{ ...TEST, vms: [] }, /Say which VMs/],
      [{ ...TEST, vms: 'db' }, /Say which VMs/],
    ];
    const { calls } = await test({ ...TEST, keep: -1 }, async () => {
      for (const [index, [request, message]] of refused.entries()) {
        const workflowId = `refused-${index}`;
        const { workflow } = server().client;
        const ended = workflow.execute('failover', { workflowId, taskQueue: CONTROL_QUEUE, args: [request] });
        await expect(ended.catch((error: Error) => Promise.reject(error.cause as Error))).rejects.toThrow(
          message,
        );
      }
    });
    expect(calls.filter((call) => call !== 'loadPlan')).toEqual([]);
  }, 60_000);

  it('the command returns when it is ready, and another one ends it', async () => {
    const folder = planFolder();
    const { plan } = await planOf();
    const environment = { ...process.env };
    Object.assign(process.env, {
      ...{ TEMPORAL_ADDRESS: server().address, TEMPORAL_NAMESPACE: server().namespace ?? 'default' },
      ...{ AWS_ENDPOINT_URL: 'http://127.0.0.1:9', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' },
    });
    const lifeboat = async (...argv: string[]) => {
      const world = testIo(process.env, folder.directory);
      return { code: await runCli(argv, world.io), world };
    };
    try {
      const { outcome } = await test(
        { ...TEST, keep: 3600, digest: planDigest(plan) },
        async (run) => {
          const shown = await lifeboat('failover', '--test', folder.file);
          expect([shown.code, shown.world.out]).toEqual([
            0,
            expect.stringMatching(/The test is kept until .*To end it before: lifeboat test end /) as string,
          ]);
          const { code, world } = await lifeboat('failover', '--test', '--json', folder.file);
          expect(code).toBe(0);
          expect(world.json).toMatchObject({ ok: true, outcome: 'kept', result: { kept: {}, removed: [] } });
          const other = await lifeboat('failover', '--test', '--vm', 'db', folder.file);
          expect([other.code, other.world.err]).toEqual([
            4,
            expect.stringMatching(/under way already, of all VMs/) as string,
          ]);
          const client = await lifeboatClient({ client: server().client });
          await expect(client.decisions.endTest('other', ADA)).rejects.toThrow(/no test failover under way/);
          const ended = await lifeboat('test', 'end', folder.file, '--by', 'ada', '--reason', 'seen enough');
          expect([ended.code, ended.world.out]).toEqual([0, 'The test is over; 1 resources were removed.\n']);
          expect((await run.describe()).status.name).toBe('COMPLETED');
        },
        {},
        dependent(['db', 'web'], { web: ['db'] }),
        workflowId('shop', 'failover', 'test'),
      );
      expect(outcome).toMatchObject({ kept: { endedBy: ADA } });
    } finally {
      process.env = environment;
      folder.remove();
    }
  }, 90_000);
});
