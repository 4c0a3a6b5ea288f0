import { type Resource } from '../chaos/account';
import { isWhole, launchCopiesOf, orphanViolations } from '../chaos/invariants';
import { drawJourney, type Journey } from '../chaos/journeys';
import { drawLaunchCopies } from '../chaos/launch-copies';
import { drawPowerReturns } from '../chaos/power-returns';
import { SeededRandom } from '../chaos/random';
import { drawSurvival } from '../chaos/survivors';
import { drawUndos } from '../chaos/undos';

const journey: Journey = {
  plan: 'shop',
  vms: [{ name: 'web', guest: 'debian', dataSectors: 2048, dependsOn: [] }],
  steps: [],
  launchCopy: true,
};

let made = 0;
function resource(
  kind: Resource['kind'],
  role: string,
  tags: Record<string, string> = {},
  state = 'completed',
): Resource {
  const own = { vm: 'web', disk: 'system', 'recovery-point': 'now', run: 'r1', attempt: '1', boot: 'true' };
  const all = Object.entries({ ...own, 'disk-count': '1', role, ...tags });
  return {
    kind,
    id: `${kind}-${++made}`,
    state,
    tags: Object.fromEntries(all.map(([key, value]) => [`lifeboat:${key}`, value])),
  };
}

const drCopy = resource('snapshot', 'dr-copy');
const launchCopy = resource('snapshot', 'launch-copy');
const orphans = (...more: Resource[]) => orphanViolations(journey, [drCopy, ...more], 'home');

it('takes one launch copy of the present DR copy for needed, and nothing else of launch copies', () => {
  expect(orphans(launchCopy)).toEqual([]);
  expect(launchCopiesOf('web', [drCopy, launchCopy])).toEqual([[launchCopy]]);
  for (const left of [
    resource('snapshot', 'pending-launch-copy'),
    resource('snapshot', 'launch-copy', { 'recovery-point': 'earlier' }),
    resource('snapshot', 'launch-copy', { run: 'r2' }),
    resource('image', 'launch-image'),
    resource('image', 'recovery'),
  ])
    expect(orphans(launchCopy, left)).toHaveLength(1);
});

it('takes every launch copy for left over where the plan wants none', () => {
  const unwanted = orphanViolations({ ...journey, launchCopy: false }, [drCopy, launchCopy], 'home');
  expect(unwanted).toHaveLength(1);
});

it('takes an image for left over also while the application runs at the recovery site', () => {
  const instance = resource('instance', 'recovery', {}, 'running');
  const away = [drCopy, launchCopy, instance];
  expect(orphanViolations(journey, away, 'away')).toEqual([]);
  expect(orphanViolations(journey, [...away, resource('image', 'launch-image')], 'away')).toHaveLength(1);
});

it('takes what protects an application that is away for left over once it is at home', () => {
  const instance = resource('instance', 'recovery', {}, 'running');
  const copy = resource('snapshot', 'away-copy');
  for (const where of ['away', 'home again'] as const)
    expect(orphanViolations(journey, [drCopy, launchCopy, instance, copy], where)).toEqual([]);
  expect(orphans(launchCopy, copy)).toHaveLength(1);
});

it('takes a launch copy for whole where all its disks are completed, and one boots', () => {
  const data = resource('snapshot', 'launch-copy', { disk: 'data', boot: 'false', 'disk-count': '2' });
  const system = resource('snapshot', 'launch-copy', { 'disk-count': '2' });
  expect(isWhole([system, data])).toBe(true);
  expect(isWhole([system])).toBe(false);
  expect(isWhole([resource('snapshot', 'launch-copy', { boot: 'false' })])).toBe(false);
  expect(isWhole([resource('snapshot', 'launch-copy', {}, 'error')])).toBe(false);
});

it('draws launch copies for about half of the plans, and leaves the rest of their journeys as it was', () => {
  const random = new SeededRandom(1);
  const drawn = Array.from({ length: 400 }, (_, n) => {
    const plain = drawJourney(random.fork(), `p-${n}`);
    return { plain, journey: drawLaunchCopies(plain, random.fork(), 0.5) };
  });
  const wanting = drawn.filter((one) => one.journey.launchCopy === true);
  expect(wanting.length).toBeGreaterThan(150);
  expect(wanting.length).toBeLessThan(250);
  for (const { plain, journey: drawnJourney } of drawn)
    expect(drawnJourney.steps.map(({ lose: _, ...step }) => step)).toEqual(plain.steps);
  expect(wanting.some((one) => one.journey.steps.some(({ lose }) => lose?.afterMs === 0))).toBe(true);
  expect(wanting.some((one) => one.journey.steps.some(({ lose }) => (lose?.afterMs ?? 0) > 0))).toBe(true);
});

it('lets power return only where VMs are at home whose application is away, and leaves the rest of the journeys as it was', () => {
  const random = new SeededRandom(2);
  const before = new Set<string>();
  for (let n = 0; n < 400; n++) {
    const plain = drawUndos(drawSurvival(drawJourney(random.fork(), `p-${n}`), random.fork()), random.fork());
    const { steps } = drawPowerReturns(plain, random.fork(), 1);
    expect(steps.filter(({ step }) => step !== 'power returns')).toEqual(plain.steps);
    for (const [at, { step, vms = [] }] of steps.entries()) {
      if (step !== 'power returns') continue;
      expect(vms).not.toEqual([]);
      expect(plain.vms.map(({ name }) => name)).toEqual(expect.arrayContaining(vms));
      const past = steps.slice(0, at).map((one) => one.step);
      const last = (...of: string[]): string | undefined => past.findLast((one) => of.includes(one));
      expect(last('failover', 'failback', 'undo the failback')).not.toBe('failback');
      expect(last('lose the data centre', 'lose power in the data centre', 'failback')).not.toBe(
        'lose the data centre',
      );
      expect(past).toContain('failover');
      before.add(past.at(-1) ?? '');
    }
  }
  expect(before).toContain('failover');
  expect(before).toContain('undo the failback');
});
