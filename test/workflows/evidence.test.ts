import { type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { type EvidenceEnd } from '../../activities/control/contract';
import { writeEvidence } from '../../activities/control/evidence/write';
import { type DrPlan } from '../../plan/schema';
import { listEvidence, readEvidence, readEvidencePage } from '../../repository/evidence/chain';
import { verifyEvidence } from '../../repository/evidence/verify';
import { keepConsole } from '../../repository/plans/consoles';
import { type FailoverRequest, type FailoverSummary } from '../../workflows/failover';
import { eventually } from '../support/eventually';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';
import { type Answers, dependent, failOverOn, type Input } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';
import { productBundle } from './product-bundle';

/** On a real Temporal server, whose histories the evidence is made of; what AWS would be asked is only noted. */
describeWithTemporal('the evidence of a run', () => {
  const server = temporalForTests();
  const store = new MemoryObjectStore();
  beforeEach(() => store.objects.clear());

  const plan: DrPlan = {
    ...dependent(['db', 'web'], { web: ['db'] }),
    objectives: { rto: 3600 },
    dns: {
      hostedZone: 'Z0000000000000',
      records: [{ name: 'www.shop.example', vm: 'web', address: 'private', ttl: 60 }],
    },
  };

  const aRecord = (Value: string) => ({ Name: 'www.shop.example', Type: 'A', ResourceRecords: [{ Value }] });

  async function failOver(
    request: Partial<FailoverRequest>,
    answers: Answers = {},
    meanwhile?: (run: WorkflowHandle, calls: string[]) => Promise<unknown>,
  ) {
    const calls: string[] = [];
    let workflow: WorkflowHandle | undefined;
    const { outcome } = await failOverOn(
      server(),
      { plan: 'shop', mode: 'disaster', ...request },
      {
        writeEvidence: (input: Input) =>
          writeEvidence(store, RUN.repository, input as unknown as EvidenceEnd),
        ...answers,
      },
      {
        of: plan,
        calls,
        meanwhile: async (run) => {
          workflow = run;
          await meanwhile?.(run, calls);
        },
      },
    );
    // A worker that has lost it all would come to the same.
    await Worker.runReplayHistory(
      { workflowBundle: await productBundle() },
      (await workflow?.fetchHistory()) ?? {},
      workflow?.workflowId,
    );
    const documents = await listEvidence(store, 'shop');
    const [document] = documents;
    const read = document && (await readEvidence(store, 'shop', document.sequence));
    return { outcome, documents, evidence: read?.evidence };
  }

  it('of a test that has come to a good end tells its verdict, its VMs, and that DNS is as it was', async () => {
    const names = [{ name: 'www.shop.example', present: ['A 192.168.10.101'], ttl: 60 }];
    const { outcome, documents, evidence } = await failOver(
      { mode: 'test' },
      {
        inspectDns: () => ({ names, findings: [], notes: [], zoneNotes: [] }),
        removeRecoveryResources: () => ({ removed: ['i-0123456789abcdef0'] }),
      },
    );
    const { evidence: told } = outcome as FailoverSummary;
    expect(documents).toMatchObject([
      { sequence: 1, kind: 'test failover', ended: 'completed', verdict: 'met' },
    ]);
    expect(told).toEqual({
      sequence: 1,
      document: 'evidence/shop/00000001.json',
      page: evidence?.page.key,
      sha256: documents[0]?.sha256,
    });
    expect(evidence).toMatchObject({
      objectives: { rto: { objectiveSeconds: 3600, verdict: 'met' }, rpo: { verdict: 'no objective' } },
      vms: [
        { vm: 'db', outcome: 'up', tier: 1, probe: { answered: true, seconds: 1 } },
        { vm: 'web', outcome: 'up', tier: 2, dependsOn: ['db'], recoveryPoint: { backupId: 'r' } },
      ],
      dns: {
        changed: false,
        before: [{ name: 'www.shop.example', values: ['A 192.168.10.101'] }],
        proof: expect.stringMatching(/^No step of this run changes DNS\. .*: they are the same\.$/) as string,
      },
      resources: { removed: ['i-0123456789abcdef0'], leftovers: [] },
      versions: { temporalSdk: ['temporal-typescript 1.24.0'] },
      deviations: [],
    });
    expect(evidence?.timeline.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['loadPlan', 'checkFailover', 'launchShell', 'waitUntilReady', 'noteTest']),
    );
    const page = (await readEvidencePage(store, evidence!)).toString();
    expect(page).toContain('<h1>Test failover of the plan shop</h1>');
    expect(await verifyEvidence(store, 'shop')).toMatchObject({ documents: 1, faults: [] });
  }, 180_000);

  it('is left by one that failed, with what failed and what was removed', async () => {
    const screen = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 0xff, 0xd9]);
    const { outcome, evidence } = await failOver(
      { onFailure: 'undo' },
      {
        'waitUntilReady db': async (input) => {
          const { runId } = (input as unknown as { run: { runId: string } }).run;
          const of = { plan: 'shop', vm: 'db', runId, outcome: 'not-ready' as const };
          await keepConsole(store, of, 'screenshot', screen);
          await keepConsole(store, of, 'output', Buffer.from('root has the password hunter2'));
          throw ApplicationFailure.nonRetryable(
            "The VM was not ready within 60 seconds. The console's end:\npassword of root: hunter2",
            'NotReady',
          );
        },
      },
    );
    expect(outcome).toBeInstanceOf(Error);
    expect(evidence).toMatchObject({
      run: { kind: 'failover' },
      outcome: {
        ended: 'failed',
        failure: expect.stringContaining('The VM was not ready within 60 seconds') as string,
      },
      objectives: { verdict: 'not measured', rto: { verdict: 'not measured', measuredSeconds: null } },
      vms: [
        {
          ...{ vm: 'db', outcome: 'not up', instance: { id: 'i-0123456789abcdef0' } },
          ...{ probe: { answered: false }, bootProof: { ready: false, screenshot: { inPage: true } } },
        },
        { vm: 'web', outcome: 'not up' },
      ],
      resources: { leftovers: [], statement: expect.stringContaining('was removed') as string },
    });
    expect(evidence?.deviations).toContainEqual(
      expect.objectContaining({ vm: 'db', what: 'wait until ready · db: failed' }),
    );
    const page = (await readEvidencePage(store, evidence!)).toString();
    expect(page).toContain(`src="data:image/jpeg;base64,${screen.toString('base64')}"`);
    for (const [key, body] of store.objects)
      if (key.startsWith('evidence/')) expect(body.toString()).not.toContain('hunter2');
  }, 180_000);

  it('is left by one that was cancelled, with who did it', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const { outcome, evidence } = await failOver(
      {},
      { 'waitUntilReady db': () => released.then(() => ({ seconds: 1 })) },
      async (run, calls) => {
        await eventually(60, () => Promise.resolve(calls.includes('waitUntilReady db') ? true : undefined));
        await run.cancel();
        await eventually(60, async () => {
          const { events = [] } = await run.fetchHistory();
          return events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes) || undefined;
        });
        release();
      },
    );
    expect(outcome).toBeInstanceOf(Error);
    expect(evidence).toMatchObject({
      outcome: { ended: 'cancelled' },
      people: {
        decisions: [{ what: 'cancel', sentBy: expect.stringMatching(/@/) as string, by: null }],
      },
    });
  }, 180_000);

  it('names who approved and who retried, and why', async () => {
    let mended = false;
    const { outcome, evidence } = await failOver(
      { approveAll: { by: 'ada', why: 'the data centre is on fire' } },
      {
        'launchShell db': () => {
          if (mended) return { instanceId: 'i-0123456789abcdef0' };
          throw ApplicationFailure.nonRetryable('You may not.', 'NotPermitted');
        },
        moveDns: () => ({
          expected: [{ name: 'www.shop.example', values: ['10.0.1.20'] }],
          notes: [],
          moved: [
            { name: 'www.shop.example', before: [aRecord('192.168.10.101')], ours: [aRecord('10.0.1.20')] },
          ],
        }),
      },
      (run) =>
        eventually(60, async () => {
          const { needsAttention } = await run.query<{ needsAttention: boolean }>('status');
          if (!needsAttention) return undefined;
          mended = true;
          return run.executeUpdate('retry', { args: [{ vm: 'db', instanceTypes: ['m5.large'] }] });
        }),
    );
    expect(outcome).toMatchObject({ mode: 'disaster' });
    expect(evidence?.people.decisions).toMatchObject([
      { what: 'approve', by: 'ada', why: 'the data centre is on fire' },
      { what: 'retry', of: 'vm db; instanceTypes m5.large', by: null },
    ]);
    expect(evidence?.dns).toMatchObject({
      changed: true,
      before: [{ name: 'www.shop.example', values: ['A 192.168.10.101'] }],
      after: [{ name: 'www.shop.example', values: ['A 10.0.1.20'] }],
      proof: expect.stringContaining('name servers') as string,
    });
    expect(evidence?.deviations).toContainEqual(
      expect.objectContaining({ vm: 'db', what: 'runs as m5.large, wanted was m6i.large' }),
    );
  }, 180_000);

  it('fails nothing where it cannot be written, and is told to be missing', async () => {
    const writeEvidence = () => {
      throw ApplicationFailure.nonRetryable('You may not put objects there.', 'NotPermitted');
    };
    const { outcome, documents } = await failOver({ mode: 'test' }, { writeEvidence });
    expect(outcome).toMatchObject({
      mode: 'test',
      noEvidence: expect.stringContaining('You may not put objects there.') as string,
    });
    expect(documents).toEqual([]);
    const failed = await failOver(
      { mode: 'test' },
      {
        writeEvidence,
        checkFailover: () => {
          throw ApplicationFailure.nonRetryable('There is no DR copy of db.', 'NotReadyForFailover');
        },
      },
    );
    expect(((failed.outcome as Error).cause as Error).message).toMatch(
      /There is no DR copy of db\..*could not be written/,
    );
  }, 180_000);
});
