import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { evidencePage } from '../../activities/control/evidence/evidence-page';
import { type RunHistory } from '../../activities/control/evidence/history';
import { RunFacts } from '../../activities/control/evidence/run-facts';
import { escapeHtml, html } from '../../activities/control/evidence/page/html';
import { projectRoot } from '../../host/project-root';
import { type EvidenceFacts, evidenceJsonSchema, evidenceSchema } from '../../repository/evidence/document';
import { signOffJsonSchema } from '../../repository/evidence/sign-off';
import { evidenceOfHistory } from '../support/evidence';
import { recordedRun } from '../support/recorded-run';

const AT = '2026-11-30T12:00:00.000Z';
const place = { chain: { sequence: 1, previous: null }, writtenAt: AT };
/** As it is stored. */
const stored = (facts: EvidenceFacts) =>
  evidenceSchema.parse({ ...facts, ...place, page: { key: 'k', sha256: '0'.repeat(64) } });
const pageOf = (facts: EvidenceFacts, pictures = new Map<string, Buffer>()): string =>
  evidencePage({ ...facts, ...place }, pictures);

describe('the schema of evidence', () => {
  it('is published as the code has it (npx lifeboat evidence schema > docs/evidence.schema.json)', () => {
    const file = readFileSync(join(projectRoot(), 'docs/evidence.schema.json'), 'utf8');
    expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(evidenceJsonSchema())));
  });

  it('and that of sign-offs (npx lifeboat evidence schema --sign-off > docs/sign-off.schema.json)', () => {
    const file = readFileSync(join(projectRoot(), 'docs/sign-off.schema.json'), 'utf8');
    expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(signOffJsonSchema())));
  });

  it('reads documents of before hooks were told', async () => {
    const { hooks: _, ...before } = stored(evidenceOfHistory(await recordedRun('failover-test')));
    expect(evidenceSchema.parse(before)).not.toHaveProperty('hooks');
  });
});

describe('a document made of a recorded run', () => {
  it('of a test tells steps, VMs, recovery points, what was made and removed, and the cost', async () => {
    const evidence = stored(
      evidenceOfHistory(await recordedRun('failover-test'), { end: { figures: { rtoSeconds: 20 } } }),
    );
    expect(evidence).toMatchObject({
      run: { kind: 'test failover', startedAt: '2026-11-26T18:39:15.854Z' },
      people: { askedBy: { client: '1777@vm', options: ['mode: test'] }, decisions: [] },
      objectives: { verdict: 'no objective', rto: { measuredSeconds: 20, verdict: 'no objective' } },
      vms: [
        {
          vm: 'db',
          instance: { type: 'm6i.large', availabilityZone: null },
          probe: { asked: ['TCP 10.0.2.4:80 takes a connection'], tries: 1, seconds: 0.2 },
          recoveryPoint: { backupId: '20261126T183911Z-9de95d26', ageSeconds: 4.5, consistency: null },
        },
        { vm: 'web', readyAt: '2026-11-26T18:39:36.098Z' },
      ],
      dns: {
        changed: null,
        proof: 'No step of this run changes DNS. The zone was not looked at before and after.',
      },
      resources: { leftovers: [] },
      preflight: { passed: true, lastCheck: null },
      nextTestDue: null,
    });
    expect(evidence.resources.made.map(({ id }) => id).sort()).toEqual(evidence.resources.removed);
    expect(evidence.cost?.usd).toBeGreaterThan(0.003);
    expect(evidence.cost?.usd).toBeLessThan(0.004);
    expect(evidence.timeline).toHaveLength(19);
  });

  it('tells when the next test is due, where the plan says how often', async () => {
    const run = await recordedRun('failover-test');
    const { plan } = new RunFacts(run);
    const due = (testEvery: number | undefined, provenAt: string | undefined) =>
      evidenceOfHistory(run, { plan: { ...plan!, objectives: { testEvery } }, provenAt }).nextTestDue;
    expect(due(90 * 86_400, AT)).toBe('2027-02-28T12:00:00.000Z');
    expect(due(undefined, AT)).toBeNull();
    expect(due(90 * 86_400, undefined)).toBeNull();
  });

  it('tells what the repository knows of the recovery points', async () => {
    const takenAt = '2026-11-26T18:00:00.000Z';
    const points = new Map([['db', { takenAt, consistency: 'quiesced', dataBlocks: 7 }]]);
    const of = async (scenario: string, kind: 'failover' | 'failback') =>
      evidenceOfHistory(await recordedRun(scenario), { points, end: { kind } }).vms[0]?.recoveryPoint;
    expect(await of('failover-test', 'failover')).toMatchObject({
      ...{ takenAt: '2026-11-26T18:39:11.385Z', consistency: 'quiesced', dataBlocks: 7 },
    });
    // Of a failback the instances tell the backup only, and those of an early release not even that.
    const history = await recordedRun('failback');
    for (const { activity, result } of history.run.steps)
      if (activity === 'readInstances')
        for (const instance of result as object[]) Object.assign(instance, { recoveryPoint: 'a-backup' });
    const { vms } = evidenceOfHistory(history, { points, end: { kind: 'failback' } });
    expect(vms.map(({ recoveryPoint }) => recoveryPoint)).toMatchObject([
      { backupId: 'a-backup', takenAt },
      { backupId: 'a-backup', takenAt: null, consistency: null },
    ]);
  });

  it('tells the type that was run instead of the one without capacity', async () => {
    const { vms, deviations } = stored(evidenceOfHistory(await recordedRun('failover-other-type')));
    const fallen = vms.filter(({ capacityFallbacks }) => capacityFallbacks.length > 0);
    expect(fallen.length).toBeGreaterThan(0);
    for (const { vm, instance, capacityFallbacks } of fallen) {
      expect(instance?.type).not.toBe(capacityFallbacks[0]?.instanceType);
      expect(deviations).toContainEqual(
        expect.objectContaining({ vm, what: expect.stringContaining('wanted was') as string }),
      );
    }
  });

  it.each([
    ['failover', 'failover'],
    ['failback', 'failback'],
    ['failover-undone', 'failover'],
    ['failback-undone', 'failback'],
    ['failover-waiting', 'failover'],
    ['failback-waiting', 'failback'],
    ['failover-cancelled', 'failover'],
    ['failback-cancelled', 'failback'],
  ] as const)('of %s is of the schema, and has a page', async (scenario, kind) => {
    const ended = scenario === kind ? 'completed' : 'failed';
    const evidence = evidenceOfHistory(await recordedRun(scenario), { end: { kind, ended } });
    expect(stored(evidence).timeline.length).toBeGreaterThan(5);
    // A failover that stays knows no end of its cost; a failback deletes the snapshots that it made.
    if (scenario === 'failover')
      expect(evidence).toMatchObject({ cost: null, resources: { leftovers: null } });
    if (scenario === 'failback') expect(evidence.resources.leftovers).toEqual([]);
    if (scenario === 'failback') expect(evidence.resources.made.length).toBeGreaterThan(0);
    expect(pageOf(evidence)).toContain(
      `<h1>${kind === 'failover' ? 'Failover' : 'Failback'} of the plan shop`,
    );
  });

  it('tells what hooks answered: the status, the end of what they said, and that one gave no answer', async () => {
    const history = await recordedRun('failover-test');
    const result = {
      ...{ at: 'afterReady', index: 1, what: 'smoke-test', required: true, ok: false, status: 3, seconds: 2 },
      ...{
        reason: 'It ended with status 3.',
        startedAt: AT,
        output: `${'x'.repeat(3000)}\nlast <b>line</b>`,
      },
    };
    const step = { ...history.run.steps[0]!, activity: 'runHook', label: 'run the hook' };
    history.run.steps.push(
      { ...step, input: {}, outcome: 'done', result },
      {
        ...step,
        outcome: 'timed out',
        error: 'No answer.',
        result: undefined,
        input: { index: 2, vm: 'db', hook: { at: 'afterVmReady', command: ['check-db', '--password=x'] } },
      },
    );
    const evidence = stored(evidenceOfHistory(history));
    expect(evidence.hooks).toMatchObject([
      { ok: false, status: 3, required: true, reason: 'It ended with status 3.', vm: null },
      {
        at: 'afterVmReady',
        index: 2,
        vm: 'db',
        what: 'check-db',
        ok: false,
        status: null,
        reason: 'No answer.',
      },
    ]);
    expect(evidence.hooks?.[0]?.output).toMatch(/^x+\nlast <b>line<\/b>$/);
    expect(pageOf(evidence)).toMatch(/<h2>Hooks<\/h2>[^]*failed, status 3[^]*last &lt;b&gt;line/);
    expect(pageOf(stored(evidenceOfHistory(await recordedRun('failover-test'))))).not.toContain('<h2>Hooks');
  });

  it('measures against the objectives of the plan', async () => {
    const history = await recordedRun('failover-test');
    const verdict = (objectives: object | undefined, figures: object) => {
      const loaded = structuredClone(history);
      const [plan] = loaded.run.steps.flatMap(({ activity, result }) =>
        activity === 'loadPlan' ? [(result as { plan: object }).plan] : [],
      );
      Object.assign(plan!, { objectives });
      return evidenceOfHistory(loaded, { end: { figures } }).objectives.verdict;
    };
    const measured = { rpoSeconds: 60, rtoSeconds: 600 };
    expect(verdict({ rpo: 60, rto: 600 }, measured)).toBe('met');
    expect(verdict({ rpo: 60, rto: 599 }, measured)).toBe('missed');
    expect(verdict({ rpo: 59 }, measured)).toBe('missed');
    expect(verdict({ rto: 600 }, measured)).toBe('met');
    expect(verdict(undefined, measured)).toBe('no objective');
    expect(verdict({ rto: 600 }, {})).toBe('not measured');
  });
});

const HOSTILE = `</td><script>alert(1)</script><img src=x onerror=alert(2)>"'&\u202e<!--`;

/** The history with every text of it replaced that does not decide what is read. */
function hostile(history: RunHistory): RunHistory {
  const copy = structuredClone(history);
  for (const { steps } of [copy.run, ...copy.children.map((child) => child.history)])
    for (const step of steps) {
      step.label += HOSTILE;
      step.worker = HOSTILE;
      step.error = HOSTILE;
      if (step.activity === 'checkFailover') Object.assign(step.result as object, { notes: [HOSTILE] });
    }
  for (const { of } of copy.children)
    if (typeof of.result === 'object' && of.result !== null)
      Object.assign(of.result, { warnings: [HOSTILE], instanceId: HOSTILE, privateAddress: HOSTILE });
  copy.run.updates.push({
    name: HOSTILE,
    at: AT,
    input: { by: HOSTILE, why: HOSTILE, vm: HOSTILE },
    sentBy: HOSTILE,
  });
  copy.run.startedBy = HOSTILE;
  return copy;
}

describe('the page', () => {
  it('escapes whatever guests, tags and people have written, and needs nothing from elsewhere', async () => {
    const check = {
      ...{ digest: '0'.repeat(64), runId: 'r', checkedAt: AT, verdict: 'not ready' as const },
      findings: [
        { code: 'dns' as const, severity: 'impossible' as const, text: HOSTILE, todo: HOSTILE, since: AT },
      ],
      ...{ recoveryPoints: {}, proxies: { aws: { worker: HOSTILE, version: HOSTILE } } },
    };
    const leftOut = [{ vm: 'web', why: HOSTILE, by: HOSTILE, at: AT }];
    const evidence = evidenceOfHistory(hostile(await recordedRun('failover-test')), {
      check,
      end: { ended: 'failed', failure: HOSTILE, figures: { leftOut, notes: [HOSTILE] } },
    });
    stored(evidence);
    const page = pageOf(evidence);
    expect(page.match(/&lt;script&gt;/g)?.length).toBeGreaterThan(30);
    expect(page).not.toMatch(/<script|<img|onerror=alert\(2\)>|<!--|\u202e/);
    // The only tags are the page's own, and no attribute names an address.
    const tags = new Set([...page.matchAll(/<\/?([a-zA-Z][\w-]*)/g)].map(([, tag]) => tag));
    expect([...tags].sort()).toEqual(
      [
        'b',
        'body',
        'br',
        'code',
        'div',
        'h1',
        'h2',
        'head',
        'header',
        'html',
        'meta',
        'p',
        'path',
        'rect',
      ].concat([
        'section',
        'span',
        'style',
        'svg',
        'table',
        'tbody',
        'td',
        'text',
        'th',
        'thead',
        'title',
        'tr',
      ]),
    );
    const markup = [...page.matchAll(/<[^>]*>/g)].join('');
    expect(markup).not.toMatch(/\s(src|href|srcset|action|style|on\w+)=/i);
    expect(page).not.toMatch(/url\(|@import/i);
    expect(page.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(/https?:\/\/(?!10\.)/);
    expect(page).toContain(`content="default-src 'none'; img-src data:;`);
  });

  it('has the pictures of the screens in itself', async () => {
    const history = await recordedRun('failover-test');
    const consoles = new Map(
      ['db', 'web'].map((vm) => [
        vm,
        {
          ...{ takenAt: AT, ready: vm === 'db', statusChecks: { system: 'ok', instance: 'ok' } },
          screenshot: `consoles/shop/${vm}/r/ready.jpg`,
        },
      ]),
    );
    const first = consoles.get('db')?.screenshot;
    const objects = new Map([[first!, { sha256: 'a'.repeat(64), inPage: true }]]);
    const evidence = stored(evidenceOfHistory(history, { consoles, objects }));
    expect(evidence.vms.map(({ bootProof }) => bootProof?.screenshot)).toEqual([
      { key: first, sha256: 'a'.repeat(64), inPage: true },
      { key: 'consoles/shop/web/r/ready.jpg', sha256: null, inPage: false },
    ]);
    expect(pageOf(evidence)).toContain('when it had not answered in time');
    const page = pageOf(evidence, new Map([[first!, Buffer.from('a jpeg')]]));
    expect(page).toContain(`src="data:image/jpeg;base64,${Buffer.from('a jpeg').toString('base64')}"`);
    expect(page).toContain(
      'The picture is in the backup repository: <code>consoles/shop/web/r/ready.jpg</code>',
    );
  });

  it('escapes by the template that all of it is made of', () => {
    expect(html`<p title="${'a"b'}">${['<', html`<b>${'&'}</b>`, null, 3]}</p>`.markup).toBe(
      '<p title="a&quot;b">&lt;<b>&amp;</b>3</p>',
    );
    expect(escapeHtml("'\u0000\u001b[31m")).toBe('&#39;\ufffd\ufffd[31m');
  });
});

describe('what is secret', () => {
  const MARK = 'hunter2-MARK';

  it('is in neither the document nor the page', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { AWS_SECRET_ACCESS_KEY: MARK, LIFEBOAT_VSPHERE_PASSWORD: MARK });
    try {
      const history = await recordedRun('failover-waiting');
      const told = [
        `Could not reach https://admin:${MARK}@10.0.0.1/api`,
        `AWS answered: SecretAccessKey=${MARK}`,
        `password: "${MARK}"`,
        `Authorization: Bearer ${MARK}`,
        `https://bucket.s3.amazonaws.com/k?X-Amz-Signature=${MARK}&X-Amz-Credential=${MARK}`,
        `The VM was not ready within 60 seconds. The console's end:\nroot's secret is\n${MARK}`,
      ];
      const probe = {
        http: { port: 80, path: `/health?token=${MARK}`, status: 200, contains: MARK },
        timeout: 60,
      };
      const steps = [history.run, ...history.children.map((child) => child.history)].flatMap(
        ({ steps: all }) => all,
      );
      steps.forEach((step, index) => {
        step.error = told[index % told.length];
        // What an activity is asked with holds the plan, and what guests are told.
        step.input = {
          ...(step.input as object),
          userData: MARK,
          bootScripts: [{ name: 's', text: MARK }],
          probe,
        };
      });
      Object.assign(history.run, { argument: { plan: 'shop', mode: 'disaster', token: MARK } });
      history.run.steps.push({
        ...{ ...history.run.steps[0]!, activity: 'runHook', outcome: 'done', input: {} },
        result: {
          at: 'afterReady',
          index: 0,
          what: 'x',
          ok: false,
          output: told.join('\n'),
          reason: told[2],
          startedAt: AT,
          seconds: 1,
        },
      });
      history.run.updates.push({
        name: 'retry',
        at: AT,
        input: { why: `password=${MARK}`, x: MARK },
        sentBy: 'me',
      });
      const failure = told.join('; ');
      const evidence = stored(
        evidenceOfHistory(history, { end: { ended: 'failed', failure, figures: { notes: told } } }),
      );
      expect(evidence.timeline.filter(({ error }) => error !== null).length).toBeGreaterThan(told.length);
      expect(JSON.stringify(evidence)).not.toContain(MARK);
      expect(pageOf(evidence)).not.toContain(MARK);
      expect(evidence.vms[0]?.probe?.asked[0]).toMatch(/\/health\?… answers 200, with the text/);
    } finally {
      process.env = before;
    }
  });
});
