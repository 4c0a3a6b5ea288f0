import { ApplicationFailure } from '@temporalio/common';
import { type PlannedBootScript } from '../../plan/schema';
import { type FailoverRequest } from '../../workflows/failover';
import { type RunStatus } from '../../workflows/run/messages';
import { eventually } from '../support/eventually';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const TEST: FailoverRequest = { plan: 'shop', mode: 'test' };
const DISASTER: FailoverRequest = { plan: 'shop', mode: 'disaster', onFailure: 'undo' };
const SCRIPT = { name: 'db.sh', sha256: '0'.repeat(64) };
const ENDED = [{ name: 'db.sh', status: 0 }];
const failed = (): never => {
  throw ApplicationFailure.nonRetryable('db.sh of db ended with exit status 3.', 'BootScriptFailed');
};

/** On a real Temporal server; what AWS would be asked is only noted. web depends on db. */
describeWithTemporal('a failover of VMs that have boot scripts', () => {
  const server = temporalForTests();

  const failOver = (
    request: FailoverRequest,
    bootScript: PlannedBootScript | undefined,
    answers: Answers = {},
  ) => {
    const plan = dependent(['db', 'web'], { web: ['db'] });
    plan.vms = plan.vms.map((vm) => (vm.name === 'db' && bootScript ? { ...vm, bootScript } : vm));
    return failOverOn(
      server(),
      request,
      {
        takePlanState: () => ({ generation: 2 }),
        readBootScripts: () => [{ vm: 'db', bootScripts: ENDED }],
        requireBootScripts: () => ENDED,
        ...answers,
      },
      { of: plan },
    );
  };
  const after = (calls: string[], one: string, other: string): boolean =>
    calls.includes(other) && calls.indexOf(one) > calls.indexOf(other);

  it('asks for nothing where there are none', async () => {
    const { calls, outcome } = await failOver(TEST, undefined);
    expect(outcome).toMatchObject({ vms: [{ vm: 'db' }, { vm: 'web' }] });
    expect((outcome as { vms: object[] }).vms[0]).not.toHaveProperty('bootScripts');
    expect(calls.join()).not.toMatch(/BootScript/);
  }, 180_000);

  it.each([
    ['a test, before it is removed', TEST, ['waitUntilReady web'], ['removeRecoveryResources']],
    ['a disaster, after the application serves', DISASTER, ['waitUntilReady web', 'movePlanState'], []],
  ])(
    'reads their statuses at the end of %s',
    async (_, request, before, later) => {
      const { calls, inputs, outcome } = await failOver(request, { ...SCRIPT, timeout: 60 });
      expect(outcome).toMatchObject({ vms: [{ vm: 'db', bootScripts: ENDED }, { vm: 'web' }] });
      expect(calls.filter((call) => /BootScript/.test(call))).toEqual(['readBootScripts']);
      for (const call of before) expect(after(calls, 'readBootScripts', call)).toBe(true);
      for (const call of later) expect(after(calls, call, 'readBootScripts')).toBe(true);
      const [asked] = (inputs.get('readBootScripts') as unknown as { vms: { seconds: number }[] }).vms;
      expect(asked).toMatchObject({ vm: 'db', instanceId: 'i-0123456789abcdef0', scripts: ['db.sh'] });
      // What is left of the time since the VM was ready.
      expect(asked!.seconds).toBeLessThanOrEqual(60);
      expect(asked!.seconds).toBeGreaterThanOrEqual(0);
    },
    180_000,
  );

  it('is none the worse for statuses that cannot be read', async () => {
    const { outcome } = await failOver(DISASTER, SCRIPT, {
      readBootScripts: () => {
        throw ApplicationFailure.nonRetryable('You may not.', 'NotPermitted');
      },
    });
    const bootScripts = [
      { name: 'db.sh', status: 'unknown', reason: expect.stringContaining('You may not.') as string },
    ];
    expect(outcome).toMatchObject({ vms: [{ vm: 'db', bootScripts }, { vm: 'web' }] });
  }, 180_000);

  it('begins no VM that depends on one whose required script has not ended', async () => {
    let ended = false;
    const { calls, inputs, outcome } = await failOver(
      TEST,
      { ...SCRIPT, required: true, timeout: 60 },
      {
        'requireBootScripts db': async () => {
          await new Promise((resolve) => setTimeout(resolve, 500));
          ended = true;
          return ENDED;
        },
        'injectDrivers web': () => {
          if (!ended) throw ApplicationFailure.nonRetryable('It was begun too early.');
          return { family: 'test', kernels: [], modules: [], changed: [], warnings: [] };
        },
      },
    );
    expect(outcome).toMatchObject({ vms: [{ vm: 'db', bootScripts: ENDED }, { vm: 'web' }] });
    expect(after(calls, 'requireBootScripts db', 'waitUntilReady db')).toBe(true);
    expect(inputs.get('requireBootScripts db')).toMatchObject({ scripts: ['db.sh'], seconds: 60 });
    // What is known is not asked for again.
    expect(calls).not.toContain('readBootScripts');
  }, 180_000);

  it('waits for a person where a required script failed, and reads again when it is told to', async () => {
    let mended = false;
    const going = failOver(
      { ...DISASTER, onFailure: 'wait' },
      { ...SCRIPT, required: true },
      { 'requireBootScripts db': () => (mended ? ENDED : failed()) },
    );
    await eventually(90, async () => {
      const query = "WorkflowType = 'failover' AND ExecutionStatus = 'Running'";
      for await (const { workflowId } of server().client.workflow.list({ query })) {
        const run = server().client.workflow.getHandle(workflowId);
        const { needsAttention, vms } = await run.query<RunStatus>('status');
        if (!needsAttention) continue;
        expect(vms[0]?.detail).toMatch(/exit status 3/);
        mended = true;
        return run.executeUpdate('retry', { args: [{}] });
      }
      return undefined;
    });
    const { calls, outcome } = await going;
    expect(outcome).toMatchObject({ vms: [{ vm: 'db', bootScripts: ENDED }, { vm: 'web' }] });
    expect(calls.filter((call) => call === 'launchShell db')).toHaveLength(1);
  }, 180_000);

  it('fails with a VM whose required script failed', async () => {
    const { calls, outcome } = await failOver(
      DISASTER,
      { ...SCRIPT, required: true },
      { 'requireBootScripts db': failed },
    );
    expect(outcome).toMatchObject({
      message: expect.stringMatching(/db: .*exit status 3\.\nweb: not started, as db failed/) as string,
    });
    expect(calls.filter((call) => call === 'requireBootScripts db')).toHaveLength(1);
    expect(calls).not.toContain('injectDrivers web');
  }, 180_000);
});
