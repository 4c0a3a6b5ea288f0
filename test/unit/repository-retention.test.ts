import fc from 'fast-check';
import { type DatedBackup, keptBackups, type RetentionPolicy } from '../../repository/upkeep/retention';

const NONE: RetentionPolicy = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 };

/** Backups whose ids are their times, so that a failing test can be read. */
const at = (...times: string[]): DatedBackup[] =>
  times.map((takenAt) => ({ backupId: takenAt, takenAt: `${takenAt}:00Z` }));
const kept = (policy: Partial<RetentionPolicy>, backups: DatedBackup[]) =>
  [...keptBackups({ ...NONE, ...policy }, backups).keys()].sort();

describe('retention', () => {
  it('keeps the last ones by the time at which they were taken, not by id', () => {
    const backups = [
      { backupId: 'z', takenAt: '2026-11-01T00:00:00Z' },
      { backupId: 'a', takenAt: '2026-11-03T00:00:00Z' },
      { backupId: 'm', takenAt: '2026-11-02T00:00:00Z' },
    ];
    expect(kept({ keepLast: 1 }, backups)).toEqual(['a']);
    expect(kept({ keepLast: 2 }, backups)).toEqual(['a', 'm']);
  });

  it('takes the greater id for the newer of two that were taken at one instant, in any order', () => {
    const [a, b] = ['a', 'b'].map((backupId) => ({ backupId, takenAt: '2026-11-01T00:00:00Z' }));
    expect(kept({}, [a!, b!])).toEqual(['b']);
    expect(kept({}, [b!, a!])).toEqual(['b']);
    expect(kept({ keepDaily: 5 }, [a!, b!])).toEqual(['b']);
  });

  it('keeps the newest backup of each of the last UTC days that have one', () => {
    const backups = at(
      '2026-11-20T23:59',
      '2026-11-21T00:00',
      '2026-11-21T23:59',
      '2026-11-25T08:00',
      '2026-11-25T09:00',
    );
    expect(kept({ keepDaily: 2 }, backups)).toEqual(['2026-11-21T23:59', '2026-11-25T09:00']);
    expect(kept({ keepDaily: 3 }, backups)).toEqual([
      '2026-11-20T23:59',
      '2026-11-21T23:59',
      '2026-11-25T09:00',
    ]);
  });

  it('lets weeks begin with Monday, also over the new year', () => {
    // 2026-11-22 is a Sunday, 2026-11-23 a Monday.
    expect(kept({ keepWeekly: 2 }, at('2026-11-22T23:59', '2026-11-23T00:00'))).toHaveLength(2);
    expect(kept({ keepWeekly: 2 }, at('2026-11-23T00:00', '2026-11-29T23:59'))).toEqual(['2026-11-29T23:59']);
    // Thursday and Friday of one week.
    expect(kept({ keepWeekly: 2 }, at('2026-12-31T12:00', '2027-01-01T12:00'))).toEqual(['2027-01-01T12:00']);
  });

  it('keeps the newest of each of the last months', () => {
    const backups = at('2026-01-31T23:59', '2026-02-01T00:00', '2026-12-31T00:00', '2027-01-01T00:00');
    expect(kept({ keepMonthly: 3 }, backups)).toEqual([
      '2026-02-01T00:00',
      '2026-12-31T00:00',
      '2027-01-01T00:00',
    ]);
  });

  it('counts the time that is kept whole from the newest backup on', () => {
    const backups = at('2026-11-20T10:00', '2026-11-20T11:00', '2026-11-20T12:00');
    expect(kept({ keepWithin: 3600 }, backups)).toEqual(['2026-11-20T11:00', '2026-11-20T12:00']);
  });

  it('says by which rules', () => {
    const rules = keptBackups(
      { ...NONE, keepDaily: 1, keepMonthly: 2 },
      at('2026-10-20T10:00', '2026-11-20T11:00'),
    );
    expect([...rules]).toEqual([
      ['2026-11-20T11:00', ['keepLast', 'keepDaily', 'keepMonthly']],
      ['2026-10-20T10:00', ['keepMonthly']],
    ]);
  });

  it('keeps nothing of nothing', () => expect(kept({ keepLast: 30 }, [])).toEqual([]));
});

describe('retention, whatever the backups', () => {
  const policies: fc.Arbitrary<RetentionPolicy> = fc.record(
    {
      keepLast: fc.integer({ min: 1, max: 6 }),
      keepWithin: fc.integer({ min: 1, max: 5 * 86_400 }),
      keepDaily: fc.integer({ min: 0, max: 6 }),
      keepWeekly: fc.integer({ min: 0, max: 4 }),
      keepMonthly: fc.integer({ min: 0, max: 3 }),
    },
    { requiredKeys: ['keepLast', 'keepDaily', 'keepWeekly', 'keepMonthly'] },
  );
  /** Some four months, to the hour, so that equal times and days come up. */
  const histories: fc.Arbitrary<DatedBackup[]> = fc
    .array(fc.integer({ min: 0, max: 2900 }), { maxLength: 40 })
    .chain((hours) =>
      fc.shuffledSubarray(hours, { minLength: hours.length }).map((order) =>
        order.map((hour, n) => ({
          backupId: `b${String(n).padStart(2, '0')}`,
          takenAt: new Date(Date.UTC(2026, 0, 1) + hour * 3_600_000).toISOString(),
        })),
      ),
    );
  const pick = (backups: DatedBackup[], ids: Map<string, unknown>) =>
    backups.filter(({ backupId }) => ids.has(backupId));

  it('keeps the newest, and nothing that is not there', () => {
    fc.assert(
      fc.property(policies, histories, (policy, backups) => {
        const ids = keptBackups(policy, backups);
        expect(pick(backups, ids)).toHaveLength(ids.size);
        const newest = Math.max(...backups.map(({ takenAt }) => Date.parse(takenAt)));
        const times = pick(backups, ids).map(({ takenAt }) => Date.parse(takenAt));
        if (backups.length > 0) expect(Math.max(...times)).toBe(newest);
      }),
    );
  });

  it('does not depend on the order in which they come', () => {
    fc.assert(
      fc.property(policies, histories, (policy, backups) => {
        const turned = keptBackups(policy, [...backups].reverse());
        expect([...turned].sort()).toEqual([...keptBackups(policy, backups)].sort());
      }),
    );
  });

  it('keeps all of what it kept before, asked again or with any higher number', () => {
    fc.assert(
      fc.property(policies, histories, fc.nat({ max: 3 }), (policy, backups, more) => {
        const before = keptBackups(policy, backups);
        expect(keptBackups(policy, pick(backups, before))).toEqual(before);
        const wider = Object.fromEntries(
          Object.entries(policy).map(([rule, value]) => [rule, value + more]),
        ) as unknown as RetentionPolicy;
        const after = keptBackups(wider, backups);
        for (const id of before.keys()) expect(after.has(id)).toBe(true);
      }),
    );
  });

  it('comes to the same whether it is applied after every backup or once at the end', () => {
    fc.assert(
      fc.property(policies, histories, (policy, backups) => {
        const inTime = [...backups].sort(
          (a, b) => Date.parse(a.takenAt) - Date.parse(b.takenAt) || (a.backupId < b.backupId ? -1 : 1),
        );
        let left: DatedBackup[] = [];
        for (const backup of inTime) {
          left.push(backup);
          left = pick(left, keptBackups(policy, left));
        }
        expect(left).toEqual(pick(inTime, keptBackups(policy, inTime)));
      }),
    );
  });
});
