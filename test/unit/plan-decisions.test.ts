import { PlanError } from '../../plan/load';
import { type DrPlan } from '../../plan/schema';
import { dependentsOf, planWithout } from '../../plan/without';
import { GOOD_PLAN, planOf } from './plan-file';

describe("people's decisions in a plan", () => {
  it('are read where they stand, and a plan without any is the same as before there were any', async () => {
    const { plan } = await planOf(
      GOOD_PLAN.replace('  - name: db\n', '  - name: db\n    approval: true\n')
        .replace('  - name: web\n', '  - name: web\n    optional: true\n')
        .replace('  hostedZone', '  approval: true\n  hostedZone') +
        'approval: { beforeTiers: [2], cutOver: true }\n',
    );
    expect(plan).toMatchObject({
      vms: [
        { name: 'db', approval: true },
        { name: 'web', optional: true },
      ],
      dns: { approval: true },
      approval: { beforeTiers: [2], cutOver: true },
    });
    const { plan: plain } = await planOf();
    expect(JSON.stringify(plain)).not.toMatch(/approval|optional/);
  });

  it.each([
    [
      'approval: { beforeTiers: [3] }\n',
      /approval\.beforeTiers\[0\]: there is no tier 3: the start order has 2/,
    ],
    ['approval: { beforeTiers: [2, 2] }\n', /approval\.beforeTiers\[1\]: tier 2 is listed twice/],
    ['approval: { beforeTiers: [0] }\n', /approval\.beforeTiers\[0\]/],
    ['approval: true\n', /approval/],
    ['approval: { dns: true }\n', /approval.*dns/],
  ])('are refused where they make no sense: %s', async (line, message) => {
    const refused = planOf(GOOD_PLAN + line);
    await expect(refused).rejects.toThrow(PlanError);
    await expect(refused).rejects.toThrow(message);
  });

  it('must leave something that has to come up', async () => {
    const all = GOOD_PLAN.replace('  - name: db\n', '  - name: db\n    optional: true\n').replace(
      '  - name: web\n',
      '  - name: web\n    optional: true\n',
    );
    await expect(planOf(all)).rejects.toThrow(/vms\[0\]\.optional: every VM is optional/);
  });
});

describe('a plan without some of its VMs', () => {
  const of = (dependsOn: Record<string, string[]>, records: string[] = []): DrPlan =>
    ({
      vms: Object.entries(dependsOn).map(([name, on]) => ({ name, dependsOn: on })),
      dns: { hostedZone: 'Z1', records: records.map((vm) => ({ name: `${vm}.example.com`, vm })) },
    }) as unknown as DrPlan;
  const shop = of({ disk: [], db: ['disk'], web: ['db'], report: ['web', 'disk'] }, ['db', 'web']);

  it('waits for what those that are gone waited for, and has no records of theirs', () => {
    const { vms, dns } = planWithout(shop, new Set(['db', 'web']));
    expect(vms).toEqual([
      { name: 'disk', dependsOn: [] },
      { name: 'report', dependsOn: ['disk'] },
    ]);
    expect(dns).toBeUndefined();
    expect(planWithout(shop, new Set(['web'])).dns?.records).toEqual([{ name: 'db.example.com', vm: 'db' }]);
    expect(planWithout(shop, new Set())).toBe(shop);
  });

  it('tells who depends on a VM, directly or not', () => {
    expect(dependentsOf(shop, 'db')).toEqual(['web', 'report']);
    expect(dependentsOf(shop, 'report')).toEqual([]);
  });
});
