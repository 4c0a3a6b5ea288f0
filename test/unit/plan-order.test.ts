import fc from 'fast-check';
import { dependenciesOf, findCycle, startOrder } from '../../plan/order';

const vm = (name: string, ...dependsOn: string[]) => ({ name, dependsOn });

describe('startOrder', () => {
  it('puts each VM into the earliest wave it can be in', () => {
    const vms = [vm('web', 'app', 'cache'), vm('app', 'db'), vm('cache'), vm('db'), vm('batch', 'db')];
    expect(startOrder({ vms })).toEqual([['cache', 'db'], ['app', 'batch'], ['web']]);
  });

  it('names the circle', () => {
    const vms = [vm('a'), vm('b', 'd'), vm('c', 'b'), vm('d', 'c', 'a')];
    expect(() => startOrder({ vms })).toThrow('in a circle: b → d → c → b.');
  });

  it('holds for any plan without circles', () => {
    // Each VM may depend on VMs of lower numbers only, so no circle can come about.
    const plans = fc
      .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 12 })
      .map((all) =>
        all.map((numbers, i) => vm(`vm${i}`, ...(i === 0 ? [] : numbers.map((n) => `vm${n % i}`)))),
      )
      .chain((vms) => fc.shuffledSubarray(vms, { minLength: vms.length }));
    fc.assert(
      fc.property(plans, (vms) => {
        const waves = startOrder({ vms });
        const waveOf = new Map(waves.flatMap((wave, index) => wave.map((name) => [name, index] as const)));
        expect(waveOf.size).toBe(vms.length);
        expect(findCycle(vms)).toBeUndefined();
        for (const { name, dependsOn } of vms)
          expect(waveOf.get(name)).toBe(
            Math.max(-1, ...dependsOn.map((dependency) => waveOf.get(dependency) ?? NaN)) + 1,
          );
      }),
    );
  });
});

describe('dependenciesOf', () => {
  it('gives the direct ones in plan order', () => {
    const vms = [vm('db'), vm('app', 'db'), vm('web', 'app', 'db')];
    expect(dependenciesOf({ vms }, 'web')).toEqual(['db', 'app']);
    expect(() => dependenciesOf({ vms }, 'wbe')).toThrow('no VM "wbe"');
  });
});
