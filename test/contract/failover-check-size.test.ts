import { ChangeResourceRecordSetsCommand } from '@aws-sdk/client-route-53';
import { createReadinessActivities } from '../../activities/aws-proxy/readiness/activities';
import { deleteSnapshots, findSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { forEachBounded } from '../../blocks/pipeline';
import { type DrPlan } from '../../plan/schema';
import { type ObjectStore } from '../../repository/objects/object-store';
import { REGION, SHOP_HOSTED_ZONE_ID, shopFixtures } from '../../sandbox/aws/fixtures';
import { eventually } from '../support/eventually';
import { type FailoverSite, publishDrCopy, shopPlan, startFailoverSite } from '../support/failover-site';
import { failureOf } from './run-activity';

const VMS = 300;
const DISKS = [{ key: 'system', sizeBytes: 2 ** 30, slot: 0, boot: true }];
/** The number of one more, which is not in every plan here. */
const NOT_ADAPTABLE = VMS;

/** A subnet in which so many VMs have room. */
function largeSite() {
  const fixtures = shopFixtures();
  fixtures.vpcs[0]!.cidr = '10.16.0.0/16';
  fixtures.subnets[0]!.cidr = '10.16.0.0/20';
  fixtures.hostInstances[0]!.privateAddress = '10.16.0.4';
  return fixtures;
}

const nameOf = (n: number): string => `vm${String(n).padStart(3, '0')}`;

/** A plan of so many VMs with an address and a record each. */
function planOf(vms: number): DrPlan {
  const plan = shopPlan();
  const [vm] = plan.vms;
  const numbers = Array.from({ length: vms }, (_, n) => n);
  plan.vms = numbers.map((n) => ({
    ...vm!,
    name: nameOf(n),
    privateAddress: `10.16.${1 + Math.floor(n / 200)}.${10 + (n % 200)}`,
  }));
  plan.dns!.records = numbers.map((n) => ({
    name: `${nameOf(n)}.shop.example`,
    vm: nameOf(n),
    address: 'public',
    ttl: 60,
  }));
  return plan;
}

/** The same plan as if it had that VM only. */
function only(plan: DrPlan, n: number): DrPlan {
  const { hostedZone, records } = plan.dns!;
  return { ...plan, vms: [plan.vms[n]!], dns: { hostedZone, records: [records[n]!] } };
}

describe('checkFailover of a plan of 300 VMs', () => {
  let site: FailoverSite;
  /** Manifests under way, and the most that were. */
  let reading = 0;
  let mostAtOnce = 0;
  const snapshots: string[] = [];

  beforeAll(async () => {
    site = await startFailoverSite(largeSite());
    const numbers = Array.from({ length: VMS + 1 }, (_, n) => n);
    await forEachBounded(numbers, 16, new AbortController().signal, async (n) => {
      const tried = { rehearsedAt: '2026-11-23T10:15:01.000Z', warnings: [], problem: 'It has no ena.' };
      const guest = n === NOT_ADAPTABLE ? { ...tried, outcome: 'not adaptable' as const } : undefined;
      [snapshots[n] = ''] = await publishDrCopy(site, nameOf(n), DISKS, guest);
    });
    await eventually(30, async () => {
      const states = (await findSnapshots(site.clients.ec2, { plan: 'shop' })).map(({ State }) => State);
      return states.filter((state) => state === 'completed').length === numbers.length || undefined;
    });
    // A record of each VM, and so two pages of them.
    await site.clients.route53.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: SHOP_HOSTED_ZONE_ID,
        ChangeBatch: {
          Changes: numbers.map((n) => ({
            Action: 'CREATE',
            ResourceRecordSet: {
              Name: `${nameOf(n)}.shop.example`,
              Type: 'A',
              TTL: 60,
              ResourceRecords: [{ Value: '192.0.2.1' }],
            },
          })),
        },
      }),
    );
  }, 60_000);
  afterAll(() => site.stop());

  async function check(plan: DrPlan) {
    const store: ObjectStore = {
      ...site.store,
      async get(key) {
        mostAtOnce = Math.max(mostAtOnce, ++reading);
        try {
          return await site.store.get(key);
        } finally {
          reading -= 1;
        }
      },
    };
    const { checkFailover } = createReadinessActivities({
      ...site.clients,
      region: REGION,
      objectStore: () => store,
    });
    return site.activity(checkFailover, { run: site.run('check'), plan, test: false });
  }
  const findingsOf = async (plan: DrPlan): Promise<string[]> => {
    const { details } = await failureOf(check(plan));
    return (details as [{ findings: string[] }])[0].findings;
  };

  /** Calls by operation. */
  async function callsFor(plan: DrPlan): Promise<Record<string, number>> {
    site.calls.length = 0;
    await check(plan);
    return Object.fromEntries(
      [...Map.groupBy(site.calls, ({ operation }) => operation)].map(([operation, { length }]) => [
        operation,
        length,
      ]),
    );
  }

  it('asks as often as for 30: the state of the plan, and for each VM its manifest alone, some of them at once', async () => {
    const calls = await callsFor(planOf(VMS));
    expect(calls).toEqual({
      DescribeSubnets: 1,
      DescribeSecurityGroups: 1,
      DescribeSnapshots: 1,
      DescribeInstanceTypes: 1,
      DescribeInstanceTypeOfferings: 1,
      DescribeNetworkInterfaces: 1,
      // What runs, for the quota of vCPUs.
      DescribeInstances: 1,
      // The volumes that there are, for the quota of EBS storage.
      DescribeVolumes: 1,
      GetServiceQuota: 2,
      GetHostedZone: 1,
      ListResourceRecordSets: 2,
      GetObject: VMS + 1,
      ListHostedZonesByName: 1,
    });
    expect(mostAtOnce).toBe(16);
    expect(await callsFor(planOf(30))).toEqual({ ...calls, GetObject: 31 });
  });

  it("finds the same as for each alone, in the plan's order", async () => {
    const plan = planOf(VMS);
    const { drCopies } = await check(plan);
    expect(drCopies.map(({ vm }) => vm)).toEqual(plan.vms.map(({ name }) => name));
    for (let n = 0; n < plan.vms.length; n += 60)
      expect((await check(only(plan, n))).drCopies).toEqual([drCopies[n]]);
  });

  it("tells of all that is wrong, in the plan's order", async () => {
    const plan = planOf(VMS + 1);
    await deleteSnapshots(site.clients.ec2, [snapshots[7]!, snapshots[298]!]);
    await site.store.delete(`${nameOf(150)}/backups/20261123T101500Z-0199abcd/manifest.json`);
    plan.vms[299]!.instanceTypes = ['m6i.large', 'z9.huge'];
    plan.vms[20]!.instanceTypes = ['z9.huge'];
    plan.vms[200]!.privateAddress = '10.16.0.4';
    plan.dns!.records[42]!.name = 'www.elsewhere.example';
    const findings = await findingsOf(plan);
    expect(findings).toEqual([
      'The instance type z9.huge of vm020 does not exist in this Region.',
      'The instance type z9.huge of vm299 does not exist in this Region.',
      'There is no complete DR copy of vm007; back it up and restore it first.',
      expect.stringContaining('lacks the backup 20261123T101500Z-0199abcd that the DR copy of vm150 holds'),
      'There is no complete DR copy of vm298; back it up and restore it first.',
      expect.stringContaining('EC2 cannot boot vm300'),
      expect.stringContaining('The address 10.16.0.4 of vm200 is in use'),
      expect.stringContaining('The record www.elsewhere.example is not in the hosted zone'),
    ]);
    const alone: string[] = [];
    for (const n of [20, 299, 7, 150, 298, NOT_ADAPTABLE, 200, 42])
      alone.push(...(await findingsOf(only(plan, n))));
    expect(alone).toEqual(findings);
  });
});
