import { type EC2Client, type Image, type Subnet } from '@aws-sdk/client-ec2';
import { type IAMClient } from '@aws-sdk/client-iam';
import { type Route53Client } from '@aws-sdk/client-route-53';
import { type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { type ChosenPoint } from '../../../plan/lines';
import { type Finding } from '../../../plan/readiness';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type DnsCheck } from '../dns/contract';
import { inspectDns } from '../dns/inspect';
import { findTaken, fixedSubnets, type TakenAddresses } from './addresses';
import { type CheckedCopies, checkDrCopies } from './dr-copies';
import { ebsQuotaFindings } from './ebs-quotas';
import { findMissingProfiles } from './instance-profiles';
import { findTypes, type SiteTypes, type TypePlace } from './instance-types';
import { findLicensedImages } from './licensed-images';
import { addressCount, findSite, type PlacedVm, placedVms, type Site, subnetsIn } from './network';
import { vcpuFindings } from './vcpu-quotas';

export interface PreflightDependencies {
  ec2: EC2Client;
  route53: Route53Client;
  iam: IAMClient;
  serviceQuotas: ServiceQuotasClient;
  /** Region that the clients ask. */
  region: string;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Recursive resolvers that know where a domain is delegated to; none where it is not asked. */
  resolvers?: string[];
}

/** Where the VMs are to run in one of the plan's networks. */
export interface Placement {
  placed: PlacedVm[];
  /** Subnets of VMs with a fixed address. */
  fixed: ReadonlyMap<string, Subnet>;
  /** By VM. */
  places: ReadonlyMap<string, TypePlace>;
}

/** What there is for a failover of a plan: looked at once, however many questions are asked of it. */
export interface SiteLooks {
  site: Site;
  production: Placement;
  test: Placement;
  copies: CheckedCopies;
  types: SiteTypes;
  images: ReadonlyMap<string, Image>;
  taken: TakenAddresses;
  /** Instance profiles that do not exist. */
  missingProfiles: ReadonlySet<string>;
  /** Quotas of vCPUs and of EBS storage; those that could not be asked for are warnings. */
  quotas: Finding[];
  dns: DnsCheck;
}

/**
 * Looks at all that a failover needs, by reading only, each list once.
 * @param whole the whole plan, where `plan` is a part of it: launch copies are made of the whole
 * @param modes the networks that are asked for: production's, or tests', or both
 */
export async function lookAtSite(
  dependencies: PreflightDependencies,
  plan: DrPlan,
  {
    repository,
    points,
    whole = plan,
    modes,
  }: { repository: RepositoryAddress; points?: ChosenPoint[]; whole?: DrPlan; modes: Mode[] },
): Promise<SiteLooks> {
  const { ec2, iam, serviceQuotas } = dependencies;
  const placed = { production: placedVms(plan, false), test: placedVms(plan, true) };
  const asked = modes.flatMap((mode) => placed[mode]);
  const [site, copies, dns, images, missingProfiles] = await Promise.all([
    findSite(ec2, [...modes.map((mode) => plan.recoverySite[mode]), ...asked.map((one) => one.site)]),
    checkDrCopies(dependencies, repository, plan, points, whole),
    inspectDns(dependencies, plan),
    findLicensedImages(ec2, plan),
    findMissingProfiles(iam, asked),
  ]);
  const production = placementOf(placed.production, site);
  const test = placementOf(placed.test, site);
  const placements = modes.map((mode) => (mode === 'test' ? test : production));
  const zones = placements.flatMap(({ places }) => [...places.values()].flatMap((place) => place.zones));
  const [{ types, vcpus }, volumes, taken] = await Promise.all([
    findTypes(ec2, plan, [...new Set(zones)]).then(async (types) => ({
      types,
      vcpus: await vcpuFindings(ec2, serviceQuotas, plan, types),
    })),
    ebsQuotaFindings(ec2, serviceQuotas, plan, copies.drCopies),
    findTaken(
      ec2,
      placements.flatMap(({ fixed }) => [...fixed.values()]),
    ),
  ]);
  const quotas = [...vcpus, ...volumes];
  return { site, production, test, copies, types, images, taken, missingProfiles, quotas, dns };
}

/** Names of the plan's networks. */
export type Mode = 'production' | 'test';

function placementOf(placed: PlacedVm[], site: Site): Placement {
  const fixed = fixedSubnets(placed, site);
  const places = new Map(
    placed.map(({ vm, site: where }) => {
      const bound = fixed.get(vm);
      const subnets = bound === undefined ? subnetsIn(site, where) : [bound];
      const zones = subnets.flatMap(({ AvailabilityZone }) => AvailabilityZone ?? []);
      return [vm, { zones, addresses: addressCount(where) }];
    }),
  );
  return { placed, fixed, places };
}
