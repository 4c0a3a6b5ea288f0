import { runsText } from '../../cli/commands/status';
import { approvalsText, awaitedText, leftOutText } from '../../cli/decision-text';
import { progressView } from '../../cli/progress-view';
import { runCli } from '../../cli/program';
import { type RunStatus } from '../../workflows/run/messages';
import { testIo } from './cli-io';
import { planFolder } from './plan-file';

const SINCE = '2026-11-30T12:00:00.000Z';
const AWAITING: RunStatus = {
  ...{ phase: 'recovering VMs', needsAttention: true, vms: [] },
  awaited: [
    { gate: 'tier 2', answer: { tier: 2 }, what: 'start tier 2: web', since: SINCE },
    { gate: 'DNS', answer: { dns: true }, what: 'move DNS to the recovery site', since: SINCE },
  ],
  paused: { by: 'ada', why: 'the\u001b[31m vault', at: SINCE },
};

describe('what waits for people', () => {
  it('is told with the command that answers it, once', () => {
    const world = testIo({}, '/');
    const view = progressView(world.io);
    for (let n = 0; n < 2; n++) view.update({ status: AWAITING, copies: [], retries: [], running: true });
    view.close();
    const lines = world.err.split('\n');
    expect(
      lines.filter((line) => line.includes('lifeboat approve PLAN --tier 2 --reason TEXT')),
    ).toHaveLength(1);
    expect(
      lines.filter((line) => line.includes('DNS waits for approval since 2026-11-30T12:00')),
    ).toHaveLength(1);
    expect(world.err).toContain('Paused since 2026-11-30T12:00:00.000Z by ada: the');
    // What people write stays text.
    expect(world.err).not.toContain('\u001b');
  });

  it('is in the status, of each run, and so is that it is not known', () => {
    const run = { workflowId: 'lifeboat:shop:failover-test', runId: '1', status: AWAITING };
    const text = runsText([{ type: 'failover', mode: 'test', ...run }], 'shop');
    expect(text).toMatch(/^lifeboat:shop:failover-test: recovering VMs\n/);
    expect(text).toContain('lifeboat approve shop --test --dns --reason TEXT');
    expect(text).toContain('lifeboat resume shop --test --reason TEXT');
    expect(runsText('Temporal does not answer at x.', 'shop')).toMatch(/not known: Temporal does not answer/);
    expect(runsText([], 'shop')).toBe('');
  });

  it('is named by its option', () => {
    const awaited = { gate: '', what: '', since: '' };
    expect(awaitedText({ ...awaited, answer: { vm: 'db' } }, 'shop')).toContain('approve shop --vm db ');
    expect(awaitedText({ ...awaited, answer: { cutOver: true } }, 'shop')).toContain(
      'approve shop --cut-over ',
    );
  });

  it('was approved or left out by somebody, for a reason, and nothing is told where nothing was', () => {
    expect(approvalsText([{ gate: 'DNS', by: 'ada', why: 'it answers', at: SINCE, since: SINCE }])).toBe(
      `Approved: DNS, by ada at ${SINCE} (it answers)\n`,
    );
    const skipped = { vm: 'web', because: 'skipped' as const, by: 'ada', why: 'not needed', at: SINCE };
    expect(leftOutText([{ ...skipped, dnsRecords: ['www.shop.example'] }])).toBe(
      'Without web: skipped by ada (not needed). Not moved: www.shop.example.\n',
    );
    expect(
      leftOutText([{ vm: 'web', because: 'failed', why: 'No capacity.', at: SINCE, notRemoved: 'denied' }]),
    ).toMatch(
      /^Without web, which is optional: No capacity\. What was made for it may still be there \(denied\)/,
    );
    expect(leftOutText() + approvalsText()).toBe('');
  });
});

describe('commands that decide', () => {
  it.each([
    [['approve', 'shop'], /--reason/],
    [['approve', 'shop', '--reason', 'x', '--dns', '--vm', 'db'], /cannot be used with/],
    [['approve', 'shop', '--reason', 'x', '--tier', '0'], /number of a tier/],
    [['skip', 'shop', '--reason', 'x'], /--vm/],
    [
      ['skip', 'shop', '--vm', 'a', '--reason', 'x', '--with-dependents', '--start-dependents'],
      /cannot be used with/,
    ],
    [['pause', 'shop'], /--reason/],
    [['resume', 'shop'], /--reason/],
  ])('want to be told what: %j', async (argv, message) => {
    const world = testIo({}, '/');
    expect(await runCli(argv, world.io)).toBe(2);
    expect(world.err).toMatch(message);
  });

  it('cannot decide anything where Temporal does not answer', async () => {
    const folder = planFolder();
    const environment = { ...process.env };
    Object.assign(process.env, {
      TEMPORAL_ADDRESS: '127.0.0.1:9',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
    });
    try {
      const world = testIo(process.env, folder.directory);
      expect(await runCli(['approve', folder.file, '--reason', 'x', '--json'], world.io)).toBe(3);
      expect(world.json).toMatchObject({ command: 'approve', ok: false, exitCode: 3 });
    } finally {
      process.env = environment;
      folder.remove();
    }
  }, 15_000);
});
