import { type DrCopySet } from '../../activities/aws-proxy/account/dr-copy';
import { type LockedDrCopy, lockedCopies } from '../../activities/aws-proxy/account/locked-copies';
import { lockFindings } from '../../activities/aws-proxy/readiness/locks';
import { lockedText } from '../../cli/commands/sweep';
import { plainPlan } from '../support/e2e-plan';

const NOW = new Date('2026-11-30T12:00:00.000Z');
const set = (recoveryPoint: string): DrCopySet => ({
  ...{ vm: 'db', recoveryPoint, takenAt: '2026-11-30T10:00:00.000Z', runId: 'run' },
  disks: ['system', 'data'].map((key, slot) => ({
    ...{ key, sizeBytes: 2 ** 30, slot, boot: slot === 0, snapshotId: `snap-${slot}`, volumeGiB: 1 },
    blockMapSha256: '',
  })),
});
const locked = (recoveryPoint: string, lockedAt: string): Map<string, LockedDrCopy[]> =>
  new Map([
    ['db', [{ vm: 'db', recoveryPoint, takenAt: lockedAt, lockedAt, until: '2026-12-06T00:00:00.000Z' }]],
  ]);

describe('a check of locks', () => {
  const plan = plainPlan('shop', ['db']);
  beforeEach(() => {
    plan.replication.frequency = 3600;
    plan.replication.lock = { every: 86_400, keep: 604_800, mode: 'governance' };
  });

  it('finds nothing where the plan wants none, or one is as old as it may be', () => {
    expect(lockFindings(plan, [set('new')], locked('old', '2026-11-29T10:30:00.000Z'), NOW)).toEqual([]);
    delete plan.replication.lock;
    expect(lockFindings(plan, [set('new')], new Map(), NOW)).toEqual([]);
  });

  it('finds a last lock that is too old, and a VM of which nothing is locked', () => {
    expect(lockFindings(plan, [set('new')], locked('old', '2026-11-29T09:30:00.000Z'), NOW)).toMatchObject([
      { code: 'dr-copy-lock', severity: 'warning', vm: 'db', about: 'the plan wants one in 1 d' },
    ]);
    const [none] = lockFindings(plan, [set('new')], new Map(), NOW);
    expect(none).toMatchObject({ about: 'none' });
    expect(none?.text).toMatch(/^No DR copy of db is locked; the plan wants one in /);
  });

  it('is content with a DR copy that is locked itself, as nothing newer has come', () => {
    expect(lockFindings(plan, [set('new')], locked('new', '2026-11-25T10:00:00.000Z'), NOW)).toEqual([]);
  });
});

it('a DR copy of which one snapshot is not locked is not locked; its lock ends with the first', () => {
  const one = { lockedAt: '2026-11-30T10:00:00.000Z', until: '2026-12-07T10:00:00.000Z' };
  const two = { lockedAt: '2026-11-30T10:00:01.000Z', until: '2026-12-07T10:00:01.000Z' };
  expect(lockedCopies([set('p')], new Map([['snap-0', one]]))).toEqual([]);
  expect(
    lockedCopies(
      [set('p')],
      new Map([
        ['snap-1', two],
        ['snap-0', one],
      ]),
    ),
  ).toMatchObject([{ recoveryPoint: 'p', lockedAt: two.lockedAt, until: one.until }]);
});

it('a sweep tells what it leaves because it is locked, and until when', () => {
  const role = 'dr-copy' as const;
  expect(
    lockedText([
      { id: 'snap-1', vm: 'db', role, until: '2026-12-07T10:00:00.000Z' },
      { id: 'snap-2', vm: 'db', role, until: '2026-12-07T10:00:01.000Z' },
      { id: 'snap-3', vm: 'web', role, until: undefined },
    ]),
  ).toBe(
    'db: snap-1, snap-2 locked, and not needed any more: goes after 2026-12-07T10:00:01.000Z.\n' +
      'web: snap-3 locked, and not needed any more: goes after its lock ends.\n',
  );
});
