import {
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
  type SecurityGroup,
  type Subnet,
} from '@aws-sdk/client-ec2';
import { type DrPlan } from '../../../plan/schema';
import { someOf } from '../../../plan/some-of';
import { subnetsOf } from '../../../plan/recovery-site/subnets';
import { overridesOf, type VmSite, vmSite } from '../../../plan/recovery-site/vm-site';
import { FILTER_VALUES } from '../account/lookup';

/** What is wanted of a site's network, by the plan or by a VM of it. */
type Wanted = Pick<VmSite, 'subnet' | 'subnets' | 'securityGroups'>;

/** A recovery site's network as EC2 has it. */
export interface Site {
  /** In the plan's order; what does not exist is not among them. */
  subnets: Subnet[];
  groups: SecurityGroup[];
}

/** A VM and where it is to run. */
export interface PlacedVm {
  vm: string;
  site: VmSite;
  /** Whether the subnets are the VM's own, and not the plan's. */
  ownSubnets: boolean;
}

export function placedVms(plan: DrPlan, test: boolean): PlacedVm[] {
  const wanted = test ? plan.recoverySite.test : plan.recoverySite.production;
  return plan.vms.map((vm) => ({
    vm: vm.name,
    site: vmSite(wanted, vm, test),
    ownSubnets: subnetsOf(overridesOf(vm, test)).length > 0,
  }));
}

/**
 * All that the plan and its VMs name of a network. By filters, not by ids: what does not exist is then not listed, and one call
 * tells of all that is missing.
 */
export async function findSite(ec2: EC2Client, wanted: Wanted[]): Promise<Site> {
  const subnets: Subnet[] = [];
  const groups: SecurityGroup[] = [];
  for (const Values of portions(wanted.flatMap(subnetsOf))) {
    const { Subnets = [] } = await ec2.send(
      new DescribeSubnetsCommand({ Filters: [{ Name: 'subnet-id', Values }] }),
    );
    subnets.push(...Values.flatMap((id) => Subnets.find(({ SubnetId }) => SubnetId === id) ?? []));
  }
  for (const Values of portions(wanted.flatMap(({ securityGroups }) => securityGroups))) {
    const { SecurityGroups = [] } = await ec2.send(
      new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-id', Values }] }),
    );
    groups.push(...SecurityGroups);
  }
  return { subnets, groups };
}

/** Each once, as many at a time as a filter takes. */
function portions(ids: string[]): string[][] {
  const all = [...new Set(ids)];
  return Array.from({ length: Math.ceil(all.length / FILTER_VALUES) }, (_, index) =>
    all.slice(index * FILTER_VALUES, (index + 1) * FILTER_VALUES),
  );
}

/** Those of the subnets that exist, in the plan's order. */
export function subnetsIn({ subnets }: Site, wanted: Pick<VmSite, 'subnet' | 'subnets'>): Subnet[] {
  return subnetsOf(wanted).flatMap((id) => subnets.find(({ SubnetId }) => SubnetId === id) ?? []);
}

/** What is wrong with the networks of the plan and of the VMs that have other ones. */
export function networkFindings(wanted: Wanted, placed: PlacedVm[], site: Site): string[] {
  const keyOf = ({ securityGroups, ...where }: Wanted): string =>
    JSON.stringify([subnetsOf(where), securityGroups]);
  const plans = keyOf(wanted);
  const places = new Map<string, { wanted: Wanted; vms: string[] }>([[plans, { wanted, vms: [] }]]);
  for (const { vm, site: where } of placed) {
    const key = keyOf(where);
    const place = places.get(key) ?? { wanted: where, vms: [] };
    if (key !== plans) place.vms.push(vm);
    places.set(key, place);
  }
  const findings = [...places.values()].flatMap(({ wanted: where, vms }) => {
    // Who may be in other subnets as well need not be in one of these.
    const within = new Set(subnetsOf(where));
    const bound = placed.filter((one) => subnetsOf(one.site).every((id) => within.has(id)));
    const addresses = bound.reduce((sum, one) => sum + addressCount(one.site), 0);
    const here = { ...site, subnets: subnetsIn(site, where) };
    const of = vms.length === 0 ? '' : ` of ${someOf(vms)}`;
    return siteFindings(where, here, bound.length, addresses, of);
  });
  // Of two places with the same subnets, both say what is wrong with these.
  return [...new Set(findings)];
}

/** Addresses that a VM takes of its subnet. */
export function addressCount({ secondaryAddresses = [] }: VmSite): number {
  return 1 + secondaryAddresses.length;
}

/**
 * What is wrong with subnets and their security groups.
 * @param of whose they are, for the findings; the plan's where empty
 */
export function siteFindings(
  wanted: Wanted,
  { subnets, groups }: Site,
  vms: number,
  addresses = vms,
  of = '',
): string[] {
  const findings: string[] = [];
  for (const id of subnetsOf(wanted)) {
    const subnet = subnets.find(({ SubnetId }) => SubnetId === id);
    if (subnet === undefined) findings.push(`The subnet ${id}${of} does not exist.`);
    else if (subnet.State !== 'available') findings.push(`The subnet ${id} is in the state ${subnet.State}.`);
  }
  // A VM for which one of them has no address goes to the next.
  const free = subnets.reduce((sum, { AvailableIpAddressCount: count = Infinity }) => sum + count, 0);
  if (subnets.length > 0 && free < addresses) {
    const ids = subnets.map(({ SubnetId }) => SubnetId);
    const what = ids.length === 1 ? `The subnet ${ids[0]} has` : `The subnets ${ids.join(', ')} have`;
    const need = addresses === vms ? 'one each' : `${addresses} in all`;
    findings.push(`${what} ${free} free addresses; ${vms} VMs need ${need}.`);
  }
  for (const id of wanted.securityGroups) {
    const group = groups.find(({ GroupId }) => GroupId === id);
    if (group === undefined) findings.push(`The security group ${id}${of} does not exist.`);
    for (const { SubnetId, VpcId } of subnets)
      if (group !== undefined && group.VpcId !== VpcId)
        findings.push(
          `The security group ${id}${of} is in ${group.VpcId}, the subnet ${SubnetId} in ${VpcId}.`,
        );
  }
  return findings;
}
