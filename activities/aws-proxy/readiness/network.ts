import {
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
  type SecurityGroup,
  type Subnet,
} from '@aws-sdk/client-ec2';
import ipaddr from 'ipaddr.js';
import { type DrPlan } from '../../../plan/schema';
import { subnetsOf } from '../../../plan/subnets';
import { fixedAddresses, overridesOf, type VmSite, vmSite } from '../../../plan/vm-site';
import { FILTER_VALUES, listNetworkInterfaces } from '../account/lookup';
import { readTags } from '../account/tags';

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

/** VMs that a finding names; of a large plan, all would hide what is wrong with them. */
const SHOWN_VMS = 5;

export function someVms(vms: string[]): string {
  const more = vms.length > SHOWN_VMS ? ` and ${vms.length - SHOWN_VMS} more` : '';
  return `${vms.slice(0, SHOWN_VMS).join(', ')}${more}`;
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
    const of = vms.length === 0 ? '' : ` of ${someVms(vms)}`;
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

/** The subnet of each VM with a fixed address: the one whose block it is in; its first where it is in none. */
export function fixedSubnets(placed: PlacedVm[], site: Site): Map<string, Subnet> {
  return new Map(
    placed.flatMap(({ vm, site: where }) => {
      const [first] = fixedAddresses(where);
      if (first === undefined) return [];
      const address = ipaddr.IPv4.parse(first);
      const holds = ({ CidrBlock }: Subnet): boolean =>
        CidrBlock !== undefined && address.match(ipaddr.IPv4.parseCIDR(CidrBlock));
      const subnets = subnetsIn(site, where);
      const subnet = subnets.find(holds) ?? subnets[0];
      return subnet === undefined ? [] : [[vm, subnet] as const];
    }),
  );
}

/** What is wrong with the fixed private addresses of the plan. */
export async function addressFindings(
  ec2: EC2Client,
  plan: string,
  placed: PlacedVm[],
  fixed: ReadonlyMap<string, Subnet>,
): Promise<string[]> {
  const findings: string[] = [];
  for (const subnet of new Set(fixed.values()))
    findings.push(
      ...(await findingsIn(
        ec2,
        plan,
        subnet,
        placed.flatMap(({ vm, site }) =>
          fixed.get(vm) === subnet ? fixedAddresses(site).map((address) => ({ vm, address })) : [],
        ),
      )),
    );
  return findings;
}

async function findingsIn(
  ec2: EC2Client,
  plan: string,
  subnet: Subnet,
  wanted: { vm: string; address: string }[],
): Promise<string[]> {
  if (subnet.CidrBlock === undefined) return [];
  const findings = fixedAddressFindings(wanted, subnet.CidrBlock);
  // The whole subnet: secondary addresses (of a load balancer, say) are in use as well.
  const taken = await listNetworkInterfaces(ec2, [{ Name: 'subnet-id', Values: [subnet.SubnetId ?? ''] }]);
  for (const { NetworkInterfaceId, PrivateIpAddress, PrivateIpAddresses, TagSet } of taken) {
    // Left by an unfinished failover of this plan, which is removed before the next one launches anything.
    if (readTags(TagSet, ['plan', 'run', 'role'])?.plan === plan) continue;
    const has = new Set([
      PrivateIpAddress,
      ...(PrivateIpAddresses ?? []).map((entry) => entry.PrivateIpAddress),
    ]);
    for (const { vm, address } of wanted)
      if (has.has(address))
        findings.push(`The address ${address} of ${vm} is in use, by ${NetworkInterfaceId}.`);
  }
  return findings;
}

/** Addresses have to be in the subnet's block, not among the five that AWS keeps of it, and each given once. */
export function fixedAddressFindings(wanted: { vm: string; address: string }[], cidrBlock: string): string[] {
  const findings: string[] = [];
  const first = ipaddr.IPv4.networkAddressFromCIDR(cidrBlock);
  const last = ipaddr.IPv4.broadcastAddressFromCIDR(cidrBlock);
  for (const { vm, address } of wanted) {
    const parsed = ipaddr.IPv4.parse(address);
    if (!parsed.match(ipaddr.IPv4.parseCIDR(cidrBlock)))
      findings.push(`The address ${address} of ${vm} is not in the subnet's block ${cidrBlock}.`);
    // "Subnet CIDR blocks": the first four addresses and the last one cannot be assigned.
    else if (number(parsed) < number(first) + 4 || number(parsed) === number(last))
      findings.push(`The address ${address} of ${vm} is one of those that AWS keeps of ${cidrBlock}.`);
  }
  for (const [address, sharing] of Map.groupBy(wanted, (entry) => entry.address))
    if (sharing.length > 1)
      findings.push(`The address ${address} is given to ${sharing.map(({ vm }) => vm).join(' and ')}.`);
  return findings;
}

function number(address: ipaddr.IPv4): number {
  return Buffer.from(address.octets).readUInt32BE();
}
