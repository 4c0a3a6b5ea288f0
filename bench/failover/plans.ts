import { type DrPlan } from '../../plan/schema';
import { type SubnetFixture } from '../../sandbox/aws/config';
import { PROXY_AVAILABILITY_ZONE, SHOP_HOSTED_ZONE_ID, shopFixtures } from '../../sandbox/aws/fixtures';
import { shopSites } from '../../sandbox/shop-sites';

/** In the shop's production network, with room for 4091 instances. */
export const LARGE_SUBNET: SubnetFixture = {
  id: 'subnet-0a11fe00000000009',
  vpc: shopFixtures().vpcs[0]?.id ?? '',
  cidr: '10.0.16.0/20',
  availabilityZone: PROXY_AVAILABILITY_ZONE,
  segment: 'prod',
};

/** Tiers of the large plans. */
export const TIERS = 4;
/**
 * VMs of a tier on which all of the next one depend, and which those find by name: the last ones, so that as good as the whole tier is
 * up before the next one starts, as VMs are launched in the plan's order. Not all VMs of the tier: each pair would
 * be in the plan, 187,500 of them for 1000 VMs.
 */
const NEEDED_VMS_A_TIER = 10;

/** Sizes of the tiers: as equal as can be, the larger ones first. */
export function tierSizes(vms: number, tiers: number): number[] {
  return Array.from({ length: Math.min(tiers, vms) }, (_, tier) => {
    const before = Math.ceil((tier * vms) / Math.min(tiers, vms));
    return Math.ceil(((tier + 1) * vms) / Math.min(tiers, vms)) - before;
  });
}

/** A plan of VMs in tiers, which fails over by launch copies or by volumes. Names differ from those of other letters' plans. */
export function tieredPlan(
  name: string,
  letter: string,
  tiers: readonly number[],
  launchCopy: boolean,
): DrPlan {
  const names = tiers.map((size, tier) =>
    Array.from({ length: size }, (_, n) => `${letter}${tier}-${String(n).padStart(3, '0')}`),
  );
  const [firstVm = ''] = names[0] ?? [];
  const sites = shopSites();
  sites.recoverySite.production.subnet = LARGE_SUBNET.id;
  return {
    name,
    ...sites,
    replication: { frequency: 3600, copy: 'direct', launchCopy },
    dns: {
      hostedZone: SHOP_HOSTED_ZONE_ID,
      records: [{ name: recordOf(name), vm: firstVm, address: 'private', ttl: 60 }],
    },
    vms: names.flatMap((tier, depth) =>
      tier.map((vm, n) => ({
        name: vm,
        instanceTypes: ['m6i.large'],
        dependsOn: (names[depth - 1] ?? []).slice(-NEEDED_VMS_A_TIER),
        hostNames: n >= tier.length - NEEDED_VMS_A_TIER ? [`${vm}.shop.example`] : [],
        readiness: { tcp: 80, timeout: 60 },
        primaryAddress: `10.${100 + depth}.${Math.floor(n / 250)}.${1 + (n % 250)}`,
      })),
    ),
  };
}

/** Name of a plan's only DNS record. */
export const recordOf = (plan: string): string => `${plan}.shop.example`;
