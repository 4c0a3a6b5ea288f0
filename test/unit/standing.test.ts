import { keepCheck, noteTest } from '../../activities/control/readiness';
import { type Finding, type KeptCheck } from '../../plan/readiness';
import { readReadiness } from '../../repository/plans/readiness-record';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';

const at = (minute: number): string => `2026-11-30T10:${String(minute).padStart(2, '0')}:00.000Z`;
const late = (vm: string): Finding => ({
  ...{ code: 'dr-copy-age', severity: 'warning', vm },
  ...{ text: `The DR copy of ${vm} is old.`, todo: 'Look.' },
});
const finding = (code: Finding['code'], more: Partial<Finding> = {}): Finding => ({
  ...{ code, severity: 'impossible', text: `It is ${code}.`, todo: 'Look.' },
  ...more,
});

describe('states that people are told of', () => {
  let store: MemoryObjectStore;
  beforeEach(() => {
    store = new MemoryObjectStore();
  });
  /** One check; what it says began and is over. */
  async function check(
    minute: number,
    findings: Finding[],
    more: { testEvery?: number; runId?: string } = {},
  ) {
    const { runId = `check-${minute}`, ...objectives } = more;
    const run = { ...RUN, runId };
    const kept = await keepCheck(store, {
      ...{ run, checkedAt: at(minute), findings, recoveryPoints: {}, proxies: {} },
      ...objectives,
    });
    return { kept, said: said(kept) };
  }
  const said = ({ changes }: KeptCheck): string[] => [
    ...(changes?.begun ?? []).map(({ state, vm }) => `+ ${state} ${vm ?? ''}`.trim()),
    ...(changes?.over ?? []).map(({ state, vm }) => `- ${state} ${vm ?? ''}`.trim()),
  ];

  it('begin once, for each VM, keep their time, and are over once', async () => {
    expect((await check(0, [late('db')])).said).toEqual(['+ rpo-missed db']);
    expect((await check(1, [late('db')])).said).toEqual([]);
    const { kept, said } = await check(2, [late('db'), late('web')]);
    expect(said).toEqual(['+ rpo-missed web']);
    expect(kept.standing).toEqual([
      { state: 'rpo-missed', vm: 'db', since: at(0) },
      { state: 'rpo-missed', vm: 'web', since: at(2) },
    ]);
    expect((await check(3, [late('web')])).said).toEqual(['- rpo-missed db']);
    const last = await check(4, []);
    expect(last.said).toEqual(['- rpo-missed web']);
    expect(last.kept).not.toHaveProperty('standing');
  });

  it('are told again by a call that is made again, as its answer was lost, and by no later check', async () => {
    const first = await check(0, [late('db')], { runId: 'same' });
    const again = await check(0, [late('db')], { runId: 'same' });
    expect(again.kept).toEqual(first.kept);
    expect(again.said).toEqual(['+ rpo-missed db']);
    expect((await readReadiness(store, 'shop'))?.check).toEqual(again.kept);
    expect((await check(1, [late('db')])).said).toEqual([]);
  });

  it.each([
    ['no AWS proxy answers', finding('aws-proxy')],
    ['the site could not be looked at', finding('not-checked', { about: 'recovery site' })],
    ['there is more than is told', finding('not-checked', { about: 'more', severity: 'warning' })],
    ['the application is away', finding('plan-phase', { severity: 'warning' })],
    ['its DR copy is gone', finding('dr-copy', { vm: 'db' })],
  ])('are not over as far as a check cannot see it: %s', async (_, unseen) => {
    await check(0, [late('db')]);
    expect((await check(1, [unseen])).said).not.toContain('- rpo-missed db');
    // Nor are they begun anew afterwards.
    expect((await check(2, [late('db')])).said).not.toContain('+ rpo-missed db');
    await check(3, [unseen]);
    expect((await check(4, [])).said).toContain('- rpo-missed db');
  });

  it('are over where what is missing is another VM’s', async () => {
    await check(0, [late('db')]);
    expect((await check(1, [finding('dr-copy', { vm: 'web' })])).said).toContain('- rpo-missed db');
  });

  it('are said by nobody who comes late', async () => {
    await check(30, []);
    expect((await check(0, [late('db')])).said).toEqual([]);
    expect((await check(31, [])).said).toEqual([]);
  });

  it('a plan is not ready, and is again', async () => {
    expect((await check(0, [finding('network')])).said).toEqual(['+ not-ready']);
    expect((await check(1, [finding('kms-key')])).said).toEqual([]);
    expect((await check(2, [late('db')])).said).toEqual(['+ rpo-missed db', '- not-ready']);
  });

  it('a test is overdue when it never was, or too long ago, whatever version it was of', async () => {
    const never = await check(0, [], { testEvery: 600 });
    expect(never.said).toEqual(['+ test-overdue']);
    expect(never.kept).toMatchObject({
      verdict: 'ready with warnings',
      findings: [{ code: 'test-overdue', text: expect.stringMatching(/No test .* every 10 min/) as string }],
    });
    const run = { ...RUN, digest: 'f'.repeat(64) };
    await noteTest(store, { run, testedAt: at(1), rtoSeconds: 9 });
    expect((await check(11, [], { testEvery: 600 })).said).toEqual(['- test-overdue']);
    const overdue = await check(12, [], { testEvery: 600 });
    expect(overdue.said).toEqual(['+ test-overdue']);
    expect(overdue.kept.findings).toMatchObject([{ text: expect.stringContaining(at(1)) as string }]);
    // A plan that does not say has no such thing.
    expect((await check(13, [])).said).toEqual(['- test-overdue']);
  });
});
