import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { planFileSchema } from '../../plan/schema';
import { projectRoot } from '../../host/project-root';
import { shopGuests } from '../../sandbox/guests/shop';

const directory = join(projectRoot(), 'examples/shop');
const file = readFileSync(join(directory, 'plan.yaml'), 'utf8');
const guestFile = (name: string) => readFileSync(join(projectRoot(), 'sandbox/guests/files', name), 'utf8');

describe('examples/shop/plan.yaml', () => {
  const plan = planFileSchema.parse(parse(file));

  it('is a valid plan of the two sample VMs, db first', () => {
    expect(plan.name).toBe('shop');
    expect(plan.vms.map(({ name }) => name)).toEqual(Object.keys(shopGuests));
    expect(plan.replication).toEqual({ frequency: 900, copy: 'direct', launchCopy: true });
    expect(plan.vms.map(({ dependsOn }) => dependsOn)).toEqual([[], ['db']]);
  });

  it('names boot scripts that exist', () => {
    const scripts = plan.vms.flatMap(({ bootScript }) => bootScript ?? []);
    expect(scripts).not.toHaveLength(0);
    for (const { file } of scripts) expect(existsSync(join(directory, file))).toBe(true);
  });

  it('knows the guests by the addresses that they have', () => {
    for (const { name, primaryAddress } of plan.vms) {
      expect(guestFile(`${name}/etc/systemd/network/10-ens192.network`)).toContain(
        `Address=${primaryAddress}/24\n`,
      );
      expect(guestFile(`${name}/etc/hosts`)).toContain(`${primaryAddress}\t${name}\n`);
    }
  });

  it('points a DNS record at a VM of the plan, and only production is public', () => {
    const names = plan.vms.map(({ name }) => name);
    for (const record of plan.dns?.records ?? []) expect(names).toContain(record.vm);
    expect(plan.dns?.records).toHaveLength(1);
    expect(plan.recoverySite.production.publicAddress).toBe(true);
    expect(plan.recoverySite.test.publicAddress).toBe(false);
  });
});
