import { measuredText, objectivesText, standingOf } from '../../cli/objectives-text';
import { type SiteStatus } from '../../client/site-status';
import { type LastTest } from '../../plan/readiness';

const copyOf = (vm: string, ageSeconds: number | undefined) => ({
  vm,
  drCopy:
    ageSeconds === undefined ? undefined : { ...{ recoveryPoint: 'p', takenAt: '', disks: [] }, ageSeconds },
});
const status = (phase: SiteStatus['phase'], ...ages: (number | undefined)[]) =>
  ({ phase, vms: ages.map((age, n) => copyOf(`vm${n}`, age)) }) as Pick<SiteStatus, 'phase' | 'vms'>;
const lastTest: LastTest = { digest: 'd', runId: 'r', testedAt: '', rtoSeconds: 900 };

describe('how a plan stands to its objectives', () => {
  it('is told by the oldest DR copy and the last test that holds', () => {
    const met = standingOf({ rpo: 3600, rto: 900 }, status('protected', 60, 3600), {
      tested: 'yes',
      lastTest,
    });
    expect(met).toEqual({
      rpo: { objective: 3600, oldest: 3600, met: true, late: [] },
      rto: { objective: 900, measured: 900, met: true },
    });
    expect(objectivesText(met)).toBe(
      'RPO objective 1 h: met; the oldest DR copy is 1 h old.\n' +
        'RTO objective 15 min: met by the last test, which took 15 min.\n',
    );
    const missed = standingOf({ rpo: 60, rto: 60 }, status('protected', 61, 60, undefined), {
      ...{ tested: 'yes', lastTest },
    });
    expect(objectivesText(missed)).toBe(
      'RPO objective 1 min: MISSED by vm0, vm2; the oldest DR copy is 1 min 1 s old.\n' +
        'RTO objective 1 min: MISSED by the last test, which took 15 min.\n',
    );
  });

  it('says nothing that is not known', () => {
    expect(standingOf({ rpo: 60 }, status('failed-over', 3600), undefined)).toEqual({ rpo: null, rto: null });
    const untested = standingOf({ rto: 60 }, status('protected', 1), { tested: 'no', lastTest });
    expect(objectivesText(untested)).toBe(
      'RTO objective 1 min: not measured; a test failover of this plan does.\n',
    );
  });

  it('is told of a run by how much it missed', () => {
    const of = (objective: number, measured: number) => ({ objective, measured, met: measured <= objective });
    expect(measuredText({ rpo: of(60, 30), rto: of(60, 75) })).toBe(
      'The RPO objective of 1 min was met.\nThe RTO objective of 1 min was MISSED by 15 s.\n',
    );
    expect(measuredText(undefined)).toBe('');
  });
});
