import { type Resource } from '../chaos/account';
import { drCopyViolations, launchCopiesOf } from '../chaos/invariants';
import { drawJourney, type Journey } from '../chaos/journeys';
import { brokenLocks, keptByLocks } from '../chaos/kept-copies';
import { drawLocks } from '../chaos/locks';
import { SeededRandom } from '../chaos/random';
import { type ToldLock } from '../chaos/snapshot-locks';

const journey: Journey = {
  plan: 'shop',
  vms: [{ name: 'web', guest: 'debian', dataSectors: 0, dependsOn: [] }],
  steps: [],
};

function resource(id: string, point: string, role = 'dr-copy', more: Partial<Resource> = {}): Resource {
  const own = { vm: 'web', disk: 'system', boot: 'true', run: `r-${point}`, attempt: '1', role };
  const tags = { ...own, 'recovery-point': point, 'taken-at': point, 'disk-count': '1' };
  return {
    ...{ kind: 'snapshot', id, state: 'completed' },
    tags: Object.fromEntries(Object.entries(tags).map(([key, value]) => [`lifeboat:${key}`, value])),
    ...more,
  };
}

const lock = (until: number, more: Partial<ToldLock> = {}): ToldLock => ({
  ...{ mode: 'governance', holds: false, createdAt: 0, until },
  ...more,
});

const older = resource('older', '1');
const newest = resource('newest', '2');
const kept = (resources: Resource[], locks: [string, ToldLock][], cleaned = 100) =>
  keptByLocks(journey, resources, new Map(locks), () => cleaned).map(({ id }) => id);

describe('a replaced DR copy', () => {
  it('may be there while it is locked, and until what deletes it begins after the end of its lock', () => {
    expect(kept([older, newest], [['older', lock(1000, { holds: true })]])).toEqual(['older']);
    expect(kept([older, newest], [['older', lock(101)]])).toEqual(['older']);
    expect(kept([older, newest], [['older', lock(99)]])).toEqual([]);
  });

  it('may not where it was never locked, and is an orphan then', () => {
    expect(kept([older, newest], [['newest', lock(1000, { holds: true })]])).toEqual([]);
    expect(drCopyViolations(journey, [older, newest])).toMatchObject([{ kind: 'orphan' }]);
  });

  it('may where the application was booted from it, but not where it was from another', () => {
    const volume = (point: string) => resource('volume', point, 'recovery', { kind: 'volume' });
    expect(kept([older, newest, volume('1')], [['older', lock(99)]])).toEqual(['older']);
    expect(kept([older, newest, volume('2')], [['older', lock(99)]])).toEqual([]);
  });

  it('is none without a whole newer one', () => {
    const pending = { ...newest, state: 'pending' };
    expect(kept([older, pending], [['older', lock(1000, { holds: true })]])).toEqual([]);
  });

  it('has no launch copy that is needed', () => {
    const copies = [resource('a', '1', 'launch-copy'), resource('b', '2', 'launch-copy')];
    expect(launchCopiesOf('web', [older, newest, ...copies])).toEqual([[copies[1]]]);
  });
});

describe('a lock', () => {
  const known = new Map([['older', lock(20_000, { holds: true })]]);
  const broken = (resources: Resource[], now: ToldLock | undefined, listedAt = 10_000) =>
    brokenLocks(
      known,
      resources,
      new Map(now === undefined ? [] : [['older', now]]),
      new Map([['older', listedAt]]),
    );

  it('keeps its snapshot until its end, and no longer', () => {
    expect(broken([newest], undefined)).toMatchObject([{ kind: 'lost' }]);
    expect(broken([newest], undefined, 20_000)).toEqual([]);
    expect(broken([older], lock(20_000))).toEqual([]);
  });

  it('is neither taken off nor shortened, and grows only when it has ended', () => {
    expect(broken([older], undefined)).toMatchObject([{ kind: 'lost' }]);
    expect(broken([older], lock(19_999))).toMatchObject([{ kind: 'lost' }]);
    expect(broken([older], lock(39_000, { createdAt: 19_000 }))).toMatchObject([{ kind: 'orphan' }]);
    expect(broken([older], lock(41_000, { createdAt: 21_000 }))).toEqual([]);
  });

  it('is on nothing but DR copies', () => {
    const launchCopy = resource('older', '1', 'launch-copy');
    expect(broken([launchCopy], lock(20_000))).toMatchObject([{ kind: 'orphan' }]);
  });
});

it('draws locks for some of the plans, and leaves the rest of their journeys as it was', () => {
  const random = new SeededRandom(1);
  const plain = Array.from({ length: 400 }, (_, n) => drawJourney(random.fork(), `p-${n}`));
  const drawn = plain.map((one) => drawLocks(one, random.fork(), 0.4));
  const locking = drawn.filter((one) => one.lock !== undefined);
  expect(locking.length).toBeGreaterThan(110);
  expect(locking.length).toBeLessThan(210);
  expect(drawn.map(({ lock: _, ...rest }) => rest)).toEqual(plain);
  // What a plan of compliance has to say, and what one of governance may not.
  for (const { lock: one } of locking) expect(one?.coolOff === undefined).toBe(one?.mode === 'governance');
});
