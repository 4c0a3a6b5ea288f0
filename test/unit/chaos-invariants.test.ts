import { type Resource } from '../chaos/account';
import {
  dnsViolations,
  drCopyViolations,
  orphanViolations,
  strayViolations,
  type Violation,
} from '../chaos/invariants';
import { drawFaults } from '../chaos/faults';
import { drawJourney, type Journey } from '../chaos/journeys';
import { SeededRandom } from '../chaos/random';

const journey: Journey = {
  plan: 'p',
  vms: [{ name: 'p-a', guest: 'debian', dataSectors: 2048, dependsOn: [] }],
  steps: [],
};

function resource(
  kind: Resource['kind'],
  role: string,
  more: Partial<Resource> & { disk?: string } = {},
): Resource {
  const { disk = 'system', ...rest } = more;
  return {
    kind,
    id: `${kind}-${role}-${disk}`,
    state: kind === 'snapshot' ? 'completed' : 'in-use',
    tags: { 'lifeboat:plan': 'p', 'lifeboat:vm': 'p-a', 'lifeboat:role': role, 'lifeboat:disk': disk },
    ...rest,
  };
}
const copies = ['system', 'data'].map((disk) => resource('snapshot', 'dr-copy', { disk }));
const instance = resource('instance', 'recovery', { id: 'i-1', state: 'running' });
const volumes = ['system', 'data'].map((disk) => resource('volume', 'recovery', { disk, attachedTo: 'i-1' }));
const kinds = (violations: Violation[]): string[] => violations.map(({ kind }) => kind);

/** The chaos suite's own checks: each finds what it is there for. */
describe('what the chaos suite looks for', () => {
  it('is content with what must be there', () => {
    expect(drCopyViolations(journey, [...copies, instance])).toEqual([]);
    expect(orphanViolations(journey, copies, 'home')).toEqual([]);
    expect(orphanViolations(journey, [...copies, instance, ...volumes], 'away')).toEqual([]);
    expect(dnsViolations('10.0.1.9', '192.168.10.9', '10.0.1.9', 'away')).toEqual([]);
    expect(dnsViolations('192.168.10.9', '192.168.10.9', '10.0.1.9', 'home again')).toEqual([]);
  });

  it('finds a DR copy that is gone, that is not complete, or that is there twice', () => {
    expect(kinds(drCopyViolations(journey, copies.slice(1)))).toEqual(['lost']);
    const [system, data] = copies as [Resource, Resource];
    expect(kinds(drCopyViolations(journey, [{ ...system, state: 'error' }, data]))).toEqual(['lost']);
    expect(kinds(drCopyViolations(journey, [...copies, { ...data, id: 'another' }]))).toEqual(['orphan']);
  });

  it.each<[string, Resource]>([
    ['a snapshot of a restore that has ended', resource('snapshot', 'pending-copy', { state: 'pending' })],
    ['a volume at home', resource('volume', 'recovery')],
    ["a test's instance", resource('instance', 'test')],
    ['a failback snapshot', resource('snapshot', 'failback')],
  ])('finds %s', (_, left) => {
    expect(kinds(orphanViolations(journey, [...copies, left], 'home'))).toEqual(['orphan']);
  });

  it('finds an instance that is gone or too many, and a volume that hangs on nothing', () => {
    expect(kinds(orphanViolations(journey, copies, 'away'))).toEqual(['lost']);
    const twice = [...copies, instance, { ...instance, id: 'i-2' }, ...volumes];
    expect(kinds(orphanViolations(journey, twice, 'away'))).toEqual(['orphan']);
    const loose = [...copies, instance, ...volumes.slice(1), { ...volumes[0]!, attachedTo: undefined }];
    expect(kinds(orphanViolations(journey, loose, 'away'))).toEqual(['orphan']);
  });

  it('finds DNS that leads elsewhere, and what carries no tag', () => {
    expect(kinds(dnsViolations('192.168.10.9', '192.168.10.9', '10.0.1.9', 'away'))).toEqual(['lost']);
    expect(kinds(dnsViolations(undefined, '192.168.10.9', undefined, 'home'))).toEqual(['lost']);
    const stray = { ...resource('volume', 'x'), tags: {} };
    expect(kinds(strayViolations([stray, { ...stray, id: 'fixture' }], ['fixture']))).toEqual(['orphan']);
  });
});

describe('what a seed draws', () => {
  const draw = (seed: number) => {
    const random = new SeededRandom(seed);
    return JSON.stringify([drawFaults(random.fork(), 'x'), drawJourney(random.fork(), 'p')]);
  };
  it('is the same for the same seed, and another for another', () => {
    expect(draw(5)).toBe(draw(5));
    expect(new Set(Array.from({ length: 50 }, (_, seed) => draw(seed))).size).toBe(50);
  });

  it('has every kind of fault, and every step, in some seed', () => {
    const drawn = Array.from({ length: 300 }, (_, seed) => draw(seed)).join('\n');
    for (const kind of [
      'error',
      'reset',
      'slow',
      'throttle',
      'eventual-consistency',
      'resource-error',
      'stuck',
      'damaged-answer',
    ])
      expect(drawn).toContain(`"kind":"${kind}"`);
    for (const step of ['backup', 'restore', 'test failover', 'failover', 'failback', 'commit'])
      expect(drawn).toContain(`"step":"${step}"`);
  });
});
