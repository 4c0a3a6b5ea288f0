import { PlanError } from '../../plan/load';
import { partOf } from '../../plan/part';
import { type DrPlan, type Hook } from '../../plan/schema';
import { hooksOf } from '../../workflows/hooks';
import { GOOD_PLAN, planOf } from './plan-file';

const withHook = (hook: string): string => `${GOOD_PLAN}hooks:\n  - ${hook}\n`;

describe('hooks in a plan', () => {
  it('are read where they stand, and a plan without any is the same as before there were any', async () => {
    const { plan } = await planOf(
      GOOD_PLAN +
        `hooks:
  - { at: afterVmReady, vm: db, command: [check-db.sh, --deep, "a b; rm -rf /"], timeout: 10m, required: true }
  - { at: afterDns, http: { url: "https://hooks.example/done" }, on: [failover, failback] }
  - { at: afterCleanUp, http: { url: "http://127.0.0.1:8080/", method: PUT, body: "{}" }, proxy: backup }
`,
    );
    expect(plan.hooks).toEqual([
      // Arguments are what they are: no shell reads them.
      {
        ...{ at: 'afterVmReady', vm: 'db', command: ['check-db.sh', '--deep', 'a b; rm -rf /'] },
        ...{ timeout: 600, required: true },
      },
      { at: 'afterDns', http: { url: 'https://hooks.example/done' }, on: ['failover', 'failback'] },
      {
        at: 'afterCleanUp',
        http: { url: 'http://127.0.0.1:8080/', method: 'PUT', body: '{}' },
        proxy: 'backup',
      },
    ]);
    expect(JSON.stringify((await planOf()).plan)).not.toContain('hooks');
  });

  it.each([
    ['{ at: afterReady }', /hooks\[0\].* needs either a command or http/],
    [
      '{ at: afterReady, command: [a], http: { url: "https://x.example" } }',
      /needs either a command or http/,
    ],
    ['{ at: afterBoot, command: [a] }', /hooks\[0\]\.at/],
    ['{ at: afterReady, command: a }', /hooks\[0\]\.command/],
    ['{ at: afterReady, command: [] }', /hooks\[0\]\.command/],
    ...['/bin/sh', '../../bin/sh', '..', '.hidden', 'a/b', '-c', 'a b', 'a;b', ''].map(
      (program): [string, RegExp] => [
        `{ at: afterReady, command: [${JSON.stringify(program)}] }`,
        /hooks\[0\]\.command\[0\].*must be the base name of a file in the proxy's LIFEBOAT_HOOKS_DIRECTORY/,
      ],
    ),
    ['{ at: afterReady, command: [a, "b\\0c"] }', /must not hold a NUL/],
    ['{ at: afterReady, vm: db, command: [a] }', /hooks\[0\]\.vm: afterReady comes once in a run/],
    [
      '{ at: afterVmReady, vm: dbb, command: [a] }',
      /hooks\[0\]\.vm: there is no VM "dbb".*did you mean "db"/,
    ],
    ['{ at: afterDns, command: [a], on: [test] }', /hooks\[0\]\.on\[0\]: afterDns does not come in a test/],
    [
      '{ at: afterCleanUp, command: [a], on: [test, failback] }',
      /on\[1\]: afterCleanUp does not come in a failback/,
    ],
    ['{ at: afterReady, command: [a], timeout: 13h }', /hooks\[0\]\.timeout: must be between 1s and 12h/],
    ['{ at: afterReady, command: [a], shell: true }', /shell/],
    ['{ at: afterReady, http: { url: "http://hooks.example/" } }', /must be https:\/\//],
    ['{ at: afterReady, http: { url: "http://127.0.0.1.evil.example/" } }', /must be https:\/\//],
    ['{ at: afterReady, http: { url: "file:///etc/passwd" } }', /must be https:\/\//],
    [
      '{ at: afterReady, http: { url: "https://me:secret@hooks.example/" } }',
      /must not hold a user or password/,
    ],
    ['{ at: afterReady, http: { url: "hooks.example" } }', /must be a URL/],
    ['{ at: afterReady, http: { url: "https://x.example", method: DELETE } }', /method/],
  ] as [string, RegExp][])('are refused where they make no sense: %s', async (hook, message) => {
    const refused = planOf(withHook(hook));
    await expect(refused).rejects.toThrow(PlanError);
    await expect(refused).rejects.toThrow(message);
  });
});

describe('hooks of a run', () => {
  const of = (hooks: Partial<Hook>[], vms = 1): DrPlan =>
    ({
      vms: Array.from({ length: vms }, (_, index) => ({ name: `vm-${index}` })),
      hooks,
    }) as unknown as DrPlan;

  it('keep so much of what they say as its result can hold', () => {
    expect(hooksOf(of([{ at: 'afterReady' }]), 'test')?.outputBytes).toBe(16_384);
    expect(hooksOf(of([{ at: 'afterVmReady' }, { at: 'afterReady' }], 1000), 'test')?.outputBytes).toBe(523);
    expect(hooksOf(of([{ at: 'afterVmReady', vm: 'vm-1' }], 1000), 'test')?.outputBytes).toBe(16_384);
    expect(hooksOf(of([{ at: 'afterVmReady' }], 10_000), 'test')?.outputBytes).toBe(256);
  });

  it('are those of its kind', () => {
    const hooks: Partial<Hook>[] = [{ at: 'afterReady', on: ['test'] }, { at: 'afterReady' }];
    expect(hooksOf(of(hooks), 'test')?.hooks.map(({ index }) => index)).toEqual([0, 1]);
    expect(hooksOf(of(hooks), 'failback')?.hooks.map(({ index }) => index)).toEqual([1]);
    expect(hooksOf(of(hooks.slice(0, 1)), 'failover')).toBeUndefined();
  });
});

describe('a part of a plan', () => {
  const of = (dependsOn: Record<string, string[]>): DrPlan =>
    ({ vms: Object.entries(dependsOn).map(([name, on]) => ({ name, dependsOn: on })) }) as unknown as DrPlan;
  const shop = of({ disk: [], db: ['disk'], web: ['db'], report: ['db'], alone: [] });
  const names = (plan: DrPlan): string[] => plan.vms.map(({ name }) => name);

  it('is what was named with all that it depends on, in the order of the plan', () => {
    expect(names(partOf(shop, ['web']))).toEqual(['disk', 'db', 'web']);
    expect(names(partOf(shop, ['alone', 'disk']))).toEqual(['disk', 'alone']);
    expect(partOf(shop, ['web', 'report', 'alone'])).toBe(shop);
  });

  it('knows the VMs of the plan only', () => {
    expect(() => partOf(shop, ['web', 'wbe'])).toThrow(
      /there is no VM "wbe" in this plan; did you mean "web"/,
    );
  });
});
