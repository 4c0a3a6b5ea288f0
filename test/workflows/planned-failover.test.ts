import { ApplicationFailure } from '@temporalio/common';
import { type FailoverRequest } from '../../workflows/failover';
import { type Answers, dependent, failOverOn, type Input } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const PLANNED: FailoverRequest = { plan: 'shop', mode: 'planned', onFailure: 'undo' };
const AT_HOME = '192.168.10.';

/** On a real Temporal server; what the sites would be asked is only noted. */
describeWithTemporal('a planned failover', () => {
  const server = temporalForTests();

  const plan = dependent(['db', 'web', 'report'], { web: ['db'] });
  plan.vms = plan.vms.map((vm, n) => ({ ...vm, primaryAddress: `${AT_HOME}${n + 10}` }));
  const names = plan.vms.map(({ name }) => name);

  /** Every backup is another, and the DR copies are of the last one. @param running power of the VMs at home, by name */
  async function failOver(
    answers: Answers = {},
    { running = names, drCopiesOf }: { running?: string[]; drCopiesOf?: () => string } = {},
  ) {
    const calls: string[] = [];
    const on = new Set(running);
    const last = new Map<string, string>();
    const { outcome } = await failOverOn(
      server(),
      PLANNED,
      {
        readPower: ({ vms }) => ({
          power: (vms as unknown as { vm: string }[]).map(({ vm }) => (on.has(vm) ? 'running' : 'off')),
        }),
        shutDownVm: ({ vm = '' }) => void on.delete(vm),
        startVm: ({ vm = '' }) => void on.add(vm),
        snapshotVm: () => ({ takenAt: '2026-11-30T00:00:00Z', configuration: { disks: [] } }),
        rehearseAdaptation: () => ({ rehearsedAt: '', outcome: 'adaptable', warnings: [] }),
        finishBackup: (input) => {
          const { vm = '', backupId = '' } = input as Input & { backupId?: string };
          last.set(vm, backupId);
          if (on.has(vm)) calls.push(`backed up while it runs ${vm}`);
          return { vm, backupId, kind: 'incremental', takenAt: '2026-11-30T00:00:00Z', disks: [] };
        },
        planRestore: ({ vm = '' }) => ({
          ...{ upToDate: true, recoveryPoint: last.get(vm), takenAt: '2026-11-30T00:00:00Z' },
        }),
        checkFailover: () => ({
          availabilityZone: 'eu-central-1a',
          drCopies: names.map((vm) => ({
            ...{ vm, recoveryPoint: drCopiesOf?.() ?? last.get(vm) ?? 'before', disks: [] },
            takenAt: '2026-11-30T00:00:00Z',
            configuration: { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] },
          })),
        }),
        ...answers,
      },
      { of: plan, calls },
    );
    return { calls, outcome, running: [...on].sort() };
  }

  const of = (calls: string[], ...activities: string[]) =>
    calls.filter((call) => activities.includes(call.split(' ')[0] ?? ''));

  it('shuts down what others do not depend on first, and boots what was backed up after that', async () => {
    const { calls, outcome, running } = await failOver();
    expect(outcome).toMatchObject({ mode: 'planned', rpoSeconds: 0, vms: names.map((vm) => ({ vm })) });
    expect((outcome as { downtimeSeconds?: number }).downtimeSeconds).toBeGreaterThan(0);
    expect(running).toEqual([]);
    const shutDowns = of(calls, 'shutDownVm');
    expect([...shutDowns].sort()).toEqual(names.map((vm) => `shutDownVm ${vm}`).sort());
    expect(shutDowns.indexOf('shutDownVm web')).toBeLessThan(shutDowns.indexOf('shutDownVm db'));
    // One round while they serve, and one of what they had written at their end.
    expect(of(calls, 'finishBackup')).toHaveLength(2 * names.length);
    expect(calls.filter((call) => call.startsWith('backed up while it runs'))).toHaveLength(names.length);
    for (const vm of names)
      expect(calls.lastIndexOf(`snapshotVm ${vm}`)).toBeGreaterThan(calls.indexOf('shutDownVm db'));
    expect(of(calls, 'startVm')).toEqual([]);
  }, 180_000);

  it('starts what it has shut down again where one does not shut down, in order, and takes nothing', async () => {
    const { calls, outcome, running } = await failOver(
      {
        'shutDownVm db': () => {
          throw ApplicationFailure.nonRetryable('"db" has not shut down within 900 s.', 'ShutdownFailed');
        },
      },
      // This one was off before.
      { running: ['db', 'web'] },
    );
    expect(outcome).toMatchObject({
      message: expect.stringMatching(/^db: .*"db" has not shut down within 900 s/) as string,
    });
    expect(running).toEqual(['db', 'web']);
    const again = of(calls, 'startVm', 'waitUntilReady');
    expect(again).toEqual(['startVm db', 'waitUntilReady db', 'startVm web', 'waitUntilReady web']);
    expect(of(calls, 'createVolumes', 'launchShell')).toEqual([]);
    // A shutdown that comes late finds another generation.
    const shutDown = calls.lastIndexOf('shutDownVm db');
    const taken = calls.indexOf('takePlanState', shutDown);
    expect(taken).toBeGreaterThan(shutDown);
    expect(taken).toBeLessThan(calls.indexOf('startVm db'));
  }, 180_000);

  it('starts them again where the recovery site fails, when what it made is removed and the state given back', async () => {
    const { calls, outcome, running } = await failOver({
      'startInstance web': () => {
        throw ApplicationFailure.nonRetryable('It was terminated.', 'LaunchFailed');
      },
      // That one does not serve is no reason to leave the others off.
      'startVm db': () => {
        throw ApplicationFailure.nonRetryable('No host has room for it.', 'NotStarted');
      },
    });
    expect(outcome).toMatchObject({
      message: expect.stringMatching(
        /web: .*It was terminated.*could not: start the VMs at the primary site again .*db: .*No host has room/s,
      ) as string,
    });
    expect(running).toEqual(['report', 'web']);
    const removed = calls.indexOf('removeRecoveryResources');
    expect(removed).toBeGreaterThan(0);
    expect(calls.indexOf('movePlanState')).toBeGreaterThan(removed);
    expect(calls.indexOf('startVm web')).toBeGreaterThan(calls.indexOf('movePlanState'));
  }, 180_000);

  it('goes on with the shutdown where a replication has taken the state meanwhile', async () => {
    let fenced = 0;
    const { calls, outcome, running } = await failOver({
      'shutDownVm report': () => {
        if (fenced++ < 2) throw ApplicationFailure.nonRetryable('The run x has taken the plan.', 'Fenced');
      },
    });
    expect(outcome).toMatchObject({ mode: 'planned' });
    expect(running).toEqual([]);
    expect(calls.filter((call) => call === 'shutDownVm report')).toHaveLength(3);
  }, 180_000);

  it('boots nothing where a VM was started again after the last backup', async () => {
    const { calls, outcome } = await failOver({
      readPower: () => ({ power: ['running', 'off', 'off'] }),
    });
    expect(outcome).toMatchObject({
      message: expect.stringMatching(/^db: started again at the primary site/) as string,
    });
    expect(of(calls, 'createVolumes', 'launchShell')).toEqual([]);
    expect(of(calls, 'startVm')).toEqual(['startVm db']);
  }, 180_000);

  it('boots nothing of a backup from before the shutdown', async () => {
    const { calls, outcome } = await failOver({}, { drCopiesOf: () => 'older' });
    expect(outcome).toMatchObject({
      message: expect.stringContaining(
        'not of the last backup, of after the shutdown: db, web, report',
      ) as string,
    });
    expect(of(calls, 'createVolumes', 'launchShell')).toEqual([]);
    expect([...of(calls, 'startVm')].sort()).toEqual(names.map((vm) => `startVm ${vm}`).sort());
  }, 180_000);
});
