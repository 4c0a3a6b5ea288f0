import { checkText, readinessText } from '../../cli/readiness-text';
import { type Present, readinessStatus, readReadinessStatus } from '../../client/readiness-status';
import { type KeptCheck, type LastTest } from '../../plan/readiness';
import { MemoryObjectStore } from '../support/memory-object-store';

const DIGEST = 'a'.repeat(64);
const check: KeptCheck = {
  digest: DIGEST,
  runId: 'run-1',
  checkedAt: '2026-11-30T10:00:00.000Z',
  verdict: 'ready with warnings',
  findings: [
    {
      ...{ code: 'dr-copy-age', severity: 'warning', vm: 'db', text: 'The DR copy of db is old.' },
      ...{ todo: 'Look at the schedule.', since: '2026-11-30T09:00:00.000Z' },
    },
  ],
  recoveryPoints: { db: 'point-1' },
  proxies: { aws: { worker: 'aws-proxy@here:1', version: '0.1.0', availabilityZone: 'eu-central-1a' } },
};
const lastTest: LastTest = {
  digest: DIGEST,
  runId: 'run-2',
  testedAt: '2026-11-29T10:00:00.000Z',
  rtoSeconds: 60,
};

/** What is there so many minutes after the check. */
const after = (minutes: number, more: Partial<Present> = {}): Present => ({
  digest: DIGEST,
  drCopies: new Map([['db', { recoveryPoint: 'point-1', takenAt: '2026-11-30T09:45:00.000Z' }]]),
  now: new Date(Date.parse(check.checkedAt) + minutes * 60_000),
  ...more,
});
const newer = new Map([['db', { recoveryPoint: 'point-2', takenAt: '2026-11-30T10:45:00.000Z' }]]);

describe('what a kept check says of today', () => {
  it('is its verdict while the plan and the DR copies are those that were checked', () => {
    const record = { plan: 'shop', check, lastTest };
    expect(readinessStatus(record, after(10))).toMatchObject({
      verdict: 'ready with warnings',
      because: undefined,
      tested: 'yes',
    });
    // A round of replication came; the next check is still to come.
    expect(readinessStatus(record, after(59, { drCopies: newer })).verdict).toBe('ready with warnings');
  });

  it.each([
    ['the plan was changed', after(1, { digest: 'b'.repeat(64) }), 'since the plan was changed'],
    ['a DR copy is gone', after(1, { drCopies: new Map() }), 'since the DR copy of db is gone'],
    [
      'no check looked at the newer DR copies',
      after(61, { drCopies: newer }),
      'since the DR copy of db of 2026-11-30T10:45:00.000Z, after which no check has come',
    ],
    ['it is of another day', after(24 * 60 + 1), 'since 2026-11-30T10:00:00.000Z, which is more than a day'],
  ])('is nothing when %s', (_, present, because) => {
    const status = readinessStatus({ plan: 'shop', check }, present);
    expect(status).toMatchObject({
      verdict: 'not verified',
      because: expect.stringContaining(because) as string,
    });
    expect(readinessText('shop', status)).toContain(`Readiness: not verified ${because}`);
    expect(readinessText('shop', status)).toContain(
      'That check said: ready with warnings; found: 1 warning.',
    );
  });

  it('tells of a plan that was never checked or tested, and of a test of another version', () => {
    const never = readinessStatus(undefined, after(0));
    expect(never).toMatchObject({ verdict: 'not verified', tested: 'never' });
    expect(readinessText('shop', never)).toBe(
      'Readiness: not verified; it was never checked. To check it: lifeboat check shop\nTested: never.\n',
    );
    const other = readinessStatus({ plan: 'shop', lastTest }, after(0, { digest: 'b'.repeat(64) }));
    expect(other.tested).toBe('no');
    expect(readinessText('shop', other)).toContain('Tested: not since the plan was changed; a test failover');
  });

  it('holds a test for as long as guests and proxy are as they were', () => {
    const guest = { guestOs: 'debian12_64Guest', firmware: 'bios', disks: ['system*'] };
    const record = {
      plan: 'shop',
      check,
      lastTest: { ...lastTest, guests: { db: guest }, awsProxy: '0.1.0' },
    };
    const of = (firmware: string) =>
      readinessStatus(record, after(1, { guests: { db: { ...guest, firmware } } }));
    expect(of('bios').tested).toBe('yes');
    expect(readinessText('shop', of('uefi'))).toContain(
      'Tested: not since the guest of db was changed: firmware bios is uefi now; a test failover succeeded',
    );
    const upgraded = { ...check, proxies: { aws: { worker: 'aws-proxy@here:1', version: '0.2.0' } } };
    expect(readinessStatus({ ...record, check: upgraded }, after(1)).changed).toEqual([
      'the AWS proxy was changed from version 0.1.0 to 0.2.0',
    ]);
  });

  it('tells of a record that cannot be read, with the rest of the status', async () => {
    const store = new MemoryObjectStore();
    store.objects.set('checks/shop.json', Buffer.from('{}'));
    const status = await readReadinessStatus(store, 'shop', after(0));
    expect(status).toMatchObject({
      verdict: 'not verified',
      because: expect.stringContaining('cannot be trusted') as string,
    });
  });
});

it('a check is told with what to do, and nothing that a terminal would act on', () => {
  const [finding] = check.findings;
  const text = checkText({
    plan: 'shop',
    ...check,
    findings: [{ ...finding!, text: 'The guest\x1b[2J says\nno.' }],
  });
  expect(text).toBe(
    [
      'Plan shop (version aaaaaaaaaaaa): ready with warnings, as of 2026-11-30T10:00:00.000Z.',
      '- warning · db · since 2026-11-30T09:00:00.000Z',
      '  The guest?[2J says no.',
      '  To do: Look at the schedule.',
      'AWS proxy: aws-proxy@here:1, version 0.1.0, in eu-central-1a.',
      'Backup proxy: none answers.',
      '',
    ].join('\n'),
  );
});
