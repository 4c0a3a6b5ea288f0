import { ApplicationFailure } from '@temporalio/common';
import { type ChosenLine } from '../../plan/lines';
import { type FailoverRequest } from '../../workflows/failover';
import { type Answers, dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const AT = '2026-11-30T09:30:00Z';
const LINE: ChosenLine = { at: AT, after: '2026-11-30T09:15:00.000Z' };
const POINT = { vm: 'db', recoveryPoint: 'older', takenAt: LINE.after };

/** On a real Temporal server; what the sites would be asked is only noted. The DR copy of web holds what was chosen, that of db does not. */
describeWithTemporal('a failover to an older recovery point', () => {
  const server = temporalForTests();
  const plan = dependent(['db', 'web'], { web: ['db'] });
  const configuration = { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] };
  const drCopy = (vm: string, snapshotId: string) => ({
    ...{ vm, recoveryPoint: 'r', takenAt: LINE.after, configuration },
    disks: [{ key: 'system', sizeBytes: 512, slot: 0, boot: true, volumeGiB: 1, snapshotId }],
  });
  const answers: Answers = {
    choosePoints: () => ({ points: [POINT, { ...POINT, vm: 'web' }], line: LINE }),
    checkFailover: () => ({
      ...{ availabilityZone: 'eu-central-1a', drCopies: [drCopy('web', 'snap-web')], toCopy: [POINT] },
    }),
    planPointCopy: () => ({
      ...{ recoveryPoint: 'older', takenAt: LINE.after, upToDate: false, kind: 'incremental' },
      disks: [{ key: 'system', sizeBytes: 512, slot: 0, boot: true, volumeGiB: 1, blocks: 0, extents: [] }],
    }),
    startSnapshot: () => ({ snapshotId: 'snap-point' }),
    finishPointCopy: () => drCopy('db', 'snap-point'),
  };
  const failOver = (request: Partial<FailoverRequest>, more: Answers = {}) =>
    failOverOn(
      server(),
      { plan: 'shop', mode: 'disaster', onFailure: 'undo', ...request },
      { ...answers, ...more },
      { of: plan },
    );

  it('boots what it has copied, notes in the plan what it goes on from, and says so', async () => {
    const { calls, inputs, outcome } = await failOver({ at: AT });
    expect(outcome).toMatchObject({ mode: 'disaster', chosen: LINE });
    expect(inputs.get('choosePoints')).toMatchObject({ vms: ['db', 'web'], choice: { at: AT } });
    expect(inputs.get('checkFailover')).toMatchObject({ points: [POINT, { vm: 'web' }] });
    expect(inputs.get('takePlanState')).toMatchObject({ to: 'failing-over', chosen: LINE });
    expect(inputs.get('startSnapshot db')).toMatchObject({ role: 'point-copy', attempt: 1 });
    expect(inputs.get('createVolumes db')).toMatchObject({
      drCopy: { disks: [{ snapshotId: 'snap-point' }] },
    });
    expect(inputs.get('createVolumes web')).toMatchObject({
      drCopy: { disks: [{ snapshotId: 'snap-web' }] },
    });
    expect(calls).not.toContain('planPointCopy web');
    const order = [
      'takePlanState',
      'planPointCopy db',
      'startSnapshot db',
      'completeSnapshot db',
      'finishPointCopy db',
      'createVolumes db',
    ];
    expect(calls.filter((call) => order.includes(call))).toEqual(order);
  }, 150_000);

  it('begins its copies anew where a restore has replaced the DR copy, and takes all back where they fail', async () => {
    let starts = 0;
    const gone = {
      startSnapshot: () => {
        if (++starts === 1) throw ApplicationFailure.nonRetryable('The snapshot is gone.', 'ParentGone');
        return { snapshotId: 'snap-point' };
      },
    };
    const anew = await failOver({ mode: 'test', at: AT }, gone);
    expect(anew.outcome).toMatchObject({ mode: 'test', chosen: LINE });
    expect(anew.inputs.get('startSnapshot db')).toMatchObject({ attempt: 4 });
    expect(anew.calls.filter((call) => call === 'discardPointCopy db')).toHaveLength(1);
    expect(anew.calls).not.toContain('takePlanState');

    const damaged = await failOver(
      { at: AT },
      {
        planPointCopy: () => {
          throw ApplicationFailure.nonRetryable('Choose another.', 'BackupRetired');
        },
      },
    );
    expect(String(damaged.outcome)).toContain('Choose another.');
    expect(damaged.calls).not.toContain('createVolumes db');
    expect(damaged.calls).toEqual(expect.arrayContaining(['discardPointCopy db', 'removeRecoveryResources']));
    expect(damaged.inputs.get('movePlanState')).toMatchObject({ to: 'protected' });
  }, 150_000);

  it.each<[string, Partial<FailoverRequest>, string]>([
    ['with a planned failover', { mode: 'planned', at: AT }, 'leave at and point out'],
    ['twice over', { at: AT, point: 'older' }, 'Say at or point, not both'],
    ['at no instant', { at: '2026-11-30T09:30:00' }, 'at must be a date, a time and its zone'],
    ['by no id', { point: '' }, 'point must be the id of a backup'],
  ])(
    'is refused %s, before anything is asked',
    async (_what, request, message) => {
      const { calls, outcome } = await failOver(request);
      expect(String(outcome)).toContain(message);
      expect(calls).toEqual([]);
    },
    150_000,
  );
});
