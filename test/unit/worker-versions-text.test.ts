import { promotedText, workerVersionsText } from '../../cli/worker-versions-text';
import { type WorkerVersion } from '../../client/worker-versions';

const A = '0.1.0+aaaaaaaaaaaa';
const B = '0.2.0+bbbbbbbbbbbb';

const version = (changes: Partial<WorkerVersion>): WorkerVersion => ({
  buildId: A,
  status: 'draining',
  since: '2026-11-30T10:00:00.000Z',
  pinnedRuns: [],
  workers: ['control@one:1'],
  ...changes,
});

const remarks = (...versions: WorkerVersion[]): string[] =>
  workerVersionsText({ deployment: 'lifeboat', current: B, versions, others: [] })
    .split('\n')
    .filter((line) => /^[\w]/.test(line));

describe('what is said of versions of control workers', () => {
  it.each<[string, Partial<WorkerVersion>, string[]]>([
    ['is current, and works', { buildId: B, status: 'current' }, []],
    [
      'is current, and has no worker',
      { buildId: B, workers: [] },
      [expect.stringMatching(/what is new waits/) as string],
    ],
    [
      'is needed',
      { pinnedRuns: ['lifeboat:shop:failover'] },
      [`${A} has to stay until lifeboat:shop:failover has ended.`],
    ],
    [
      'is needed, and has no worker',
      { pinnedRuns: ['lifeboat:shop:failover'], workers: [] },
      [expect.stringMatching(/^No worker of 0\.1\.0\+a+ polls: lifeboat:shop:failover waits/) as string],
    ],
    ['is needed no more', {}, [`${A} is needed no more: its workers can be stopped.`]],
    ['is gone', { status: 'drained', workers: [] }, []],
    [
      'was never current',
      { status: 'inactive' },
      [expect.stringMatching(/lifeboat worker promote 0\.1\.0/) as string],
    ],
  ])('one that %s', (_, changes, said) => {
    expect(remarks(version(changes))).toEqual(said);
  });

  it('workers that belong to none', () => {
    const others = ['control@old:2'];
    const text = (current: string | undefined): string =>
      workerVersionsText({ deployment: 'lifeboat', current, versions: [], others });
    expect(text(B)).toContain(`get nothing while ${B} is current: control@old:2`);
    expect(text(undefined)).toContain('What is new goes to workers of no version: control@old:2');
  });

  it('a promotion, by what stays behind', () => {
    expect(promotedText(B, A)).toMatch(/goes to 0\.2\.0\+b+ .* ends on 0\.1\.0\+a+/);
    expect(promotedText(A, undefined)).toMatch(/What runs goes on there, too/);
    expect(promotedText(undefined, A)).toMatch(/goes to workers of no version .* ends on 0\.1\.0/);
    expect(promotedText(B, B)).toMatch(/current already/);
  });
});
