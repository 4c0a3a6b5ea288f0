import { statusDocument, statusText } from '../../cli/commands/status';
import { CliError, EXIT } from '../../cli/exit-codes';
import { watch } from '../../cli/watch';
import { type ReadinessStatus } from '../../client/readiness-status';
import { type SiteStatus } from '../../client/site-status';
import { testIo } from './cli-io';

const STATUS: SiteStatus = {
  plan: 'shop',
  phase: 'failed-over',
  generation: 4,
  since: '2026-11-23T18:30:00.000Z',
  closedWindow: undefined,
  chosen: undefined,
  keptTests: [],
  vms: [
    {
      vm: 'db',
      runsAt: 'recovery',
      instance: {
        instanceId: 'i-0123456789abcdef0',
        state: 'running',
        instanceType: 't3.small',
        privateAddress: '10.0.1.5',
        publicAddress: undefined,
      },
      drCopy: {
        recoveryPoint: '20261123T181500Z-1a2b3c4d',
        takenAt: '2026-11-23T18:15:00.000Z',
        ageSeconds: 3725,
        disks: [
          { disk: 'system', snapshotId: 'snap-1', sizeBytes: 640 * 1024 * 1024 + 512, boot: true },
          { disk: 'data', snapshotId: 'snap-2', sizeBytes: 1024 ** 3, boot: false },
        ],
      },
      launchCopy: { snapshots: [{ diskKey: 'system', snapshotId: 'snap-3' }] },
      backup: {
        consistency: 'crash',
        notes: ['The disk "scratch" is not backed up.'],
        excludedDisks: ['scratch'],
      },
      turnedAway: false,
      guest: {
        rehearsedAt: '2026-11-23T18:15:02.000Z',
        outcome: 'not adaptable',
        problem: 'Kernel 3.16 has no ena.',
        warnings: ['The swap of a disk that is gone is left out.'],
      },
      awayCopy: {
        instanceId: 'i-0123456789abcdef0',
        takenAt: '2026-11-23T19:15:00.000Z',
        ageSeconds: 125,
        snapshots: [{ snapshotId: 'snap-4', volumeId: 'vol-1', disk: 'system' }],
      },
    },
    {
      vm: 'web',
      primaryVm: '/DC1/vm/WEB\u202e 1',
      runsAt: 'recovery',
      instance: undefined,
      drCopy: undefined,
      launchCopy: undefined,
      backup: undefined,
      turnedAway: false,
      guest: undefined,
      awayCopy: undefined,
    },
  ],
};

describe('status', () => {
  it('has a document in which every field is there', () => {
    const document = JSON.parse(JSON.stringify(statusDocument(STATUS, 'ab'))) as object;
    expect(document).toEqual({
      command: 'status',
      ok: true,
      plan: 'shop',
      digest: 'ab',
      phase: 'failed-over',
      generation: 4,
      since: '2026-11-23T18:30:00.000Z',
      closedWindow: null,
      fence: null,
      keptTests: [],
      undoing: null,
      chosen: null,
      readiness: null,
      vms: [
        {
          vm: 'db',
          primaryVm: 'db',
          runsAt: 'recovery',
          instance: { ...STATUS.vms[0]?.instance, publicAddress: null },
          drCopy: STATUS.vms[0]?.drCopy,
          turnedAway: false,
          lockedCopy: null,
          launchCopy: STATUS.vms[0]?.launchCopy,
          backup: STATUS.vms[0]?.backup,
          guest: STATUS.vms[0]?.guest,
          awayCopy: STATUS.vms[0]?.awayCopy,
        },
        {
          vm: 'web',
          primaryVm: STATUS.vms[1]?.primaryVm,
          runsAt: 'recovery',
          instance: null,
          drCopy: null,
          turnedAway: false,
          lockedCopy: null,
          launchCopy: null,
          backup: null,
          guest: null,
          awayCopy: null,
        },
      ],
    });
  });

  it('tells the verdict of the last check at once', () => {
    const readiness: ReadinessStatus = {
      verdict: 'ready',
      because: undefined,
      check: {
        ...{ digest: 'ab', runId: 'run', checkedAt: '2026-11-23T19:00:00.000Z', verdict: 'ready' },
        ...{ findings: [], recoveryPoints: {}, proxies: {} },
      },
      tested: 'never',
      changed: [],
      lastTest: undefined,
    };
    expect(statusText(STATUS, undefined, readiness)).toContain(
      '(generation 4)\nReadiness: ready, checked at 2026-11-23T19:00:00.000Z; nothing found.\nTested: never.\n',
    );
    expect(statusDocument(STATUS, 'ab', readiness).readiness).toEqual({
      ...readiness,
      because: null,
      lastTest: null,
    });
  });

  it('is shown again and again until Ctrl-C, also where a look fails in between', async () => {
    const world = testIo({}, '.');
    let looks = 0;
    const look = () => {
      looks += 1;
      if (looks === 2) return Promise.reject(new CliError('AWS does not answer.', EXIT.cannotConnect));
      if (looks === 3) world.interrupt();
      return Promise.resolve(`look ${looks}\n`);
    };
    await watch(world.io, look, 0.01);
    const time = '\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z\\n';
    expect(world.out).toMatch(
      new RegExp(`^${time}look 1\\n${time}AWS does not answer\\.\\n${time}look 3\\n$`),
    );
    const unseen = watch(world.io, () => Promise.reject(new CliError('No plan.', EXIT.badInput)), 1);
    await expect(unseen).rejects.toThrow('No plan.');
  });

  it('has a table with a line a disk', () => {
    const text = statusText(STATUS);
    expect(text).toContain('Plan shop: failed-over since 2026-11-23T18:30:00.000Z (generation 4)');
    expect(text).toMatch(
      /db .*recovery site \(i-0123456789abcdef0, running, 10\.0\.1\.5\).* system .* 640 MiB .* snap-1 .* 1 h 2 min/,
    );
    expect(text).toMatch(/data .* 1 GiB .* snap-2/);
    expect(text).toMatch(/web .*no DR copy/);
    expect(text).toContain('\ndb: NOT READY, EC2 cannot boot it: Kernel 3.16 has no ena.\n');
    expect(text).toContain('\ndb: The disk "scratch" is not backed up.\n');
    expect(text).toContain('\ndb: The swap of a disk that is gone is left out.\n');
    expect(text).not.toContain('Scheduled backups');
  });

  it('tells what keeps the VMs off at home, and what became of it', () => {
    const since = '2026-11-23T18:30:00.000Z';
    const open = { order: 'open', since, standing: 'open' } as const;
    expect(statusText(STATUS)).not.toContain('fence');
    expect(statusText({ ...STATUS, fence: open })).toContain(
      `\nfence: ordered at ${since}, waiting for the data centre\n`,
    );
    const vms = [{ vm: 'db', times: 2, lastAt: '2026-11-23T20:01:00.000Z' }];
    const answered = { ...open, answeredAt: '2026-11-23T20:00:00.000Z', vms };
    expect(statusText({ ...STATUS, fence: answered })).toMatch(
      /fence: the VMs are kept off .*answered at 2026-11-23T20:00:00\.000Z\n {2}db powered off .*20:01:00\.000Z, 2 times/,
    );
    expect(statusText({ ...STATUS, fence: { ...answered, standing: 'paused' } })).toContain('fence: paused');
    const stopped = { ...answered, order: 'stopped', standing: 'over' } as const;
    expect(statusText({ ...STATUS, fence: stopped })).toContain(`fence: stopped at ${since}`);
    expect(statusText({ ...STATUS, undoing: 'failover' })).toContain('half-way: lifeboat undo shop');
  });

  it('tells which line goes on after a failover to an older recovery point', () => {
    const after = '2026-11-23T17:15:00.000Z';
    const away = statusText({ ...STATUS, chosen: { at: '2026-11-23T17:30:00Z', after } });
    expect(away).toContain(`what was backed up after ${after} is of the line that was turned away from`);
    expect(away).toContain('Replication waits: after a failback, commit goes on with what came home.');
    const [db, web] = STATUS.vms;
    const home = statusText({ ...STATUS, vms: [{ ...db!, turnedAway: true }, web!] });
    expect(home).toContain(
      'The DR copy of db is of a line that was turned away from, and no failover takes it unasked',
    );
    expect(statusText(STATUS)).not.toMatch(/turned away|Recovery points/);
  });

  it('tells what protects the VMs that are away, and what they are called at home', () => {
    const text = statusText(STATUS);
    expect(text).toContain('\ndb: away, protected as of 2026-11-23T19:15:00.000Z (2 min 5 s ago).\n');
    expect(text).toContain('\nweb is "/DC1/vm/WEB? 1" at the primary site.\n');
    expect(text).toContain('\nweb: away, NOT protected: there is no copy of its instance.');
    expect(text).not.toContain('db is "');
    const home = { ...STATUS, phase: 'protected' as const, vms: STATUS.vms.slice(1) };
    expect(statusText(home)).not.toContain('away');
    // What came home has a copy until the commit, and what was left out has no instance.
    for (const runsAt of ['primary', 'nowhere'] as const) {
      const vms = STATUS.vms.map((vm) => ({ ...vm, runsAt }));
      expect(statusText({ ...STATUS, vms })).not.toMatch(/: away/);
    }
  });

  it('tells when scheduled backups begin, while they do not', () => {
    const closedWindow = {
      between: '22:00-06:00',
      timeZone: 'Europe/Berlin',
      opensAt: '2026-11-23T21:00:00.000Z',
    };
    expect(statusText({ ...STATUS, closedWindow })).toContain(
      '\nScheduled backups begin 22:00-06:00 (Europe/Berlin) only; the next may at 2026-11-23T21:00:00.000Z.\n',
    );
  });
});
