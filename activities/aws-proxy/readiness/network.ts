import {
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
  type SecurityGroup,
  type Subnet,
} from '@aws-sdk/client-ec2';
import ipaddr from 'ipaddr.js';
import { type DrPlan, type RecoverySubnet } from '../../../plan/schema';
import { subnetsOf } from '../../../plan/subnets';
import { listNetworkInterfaces } from '../account/lookup';
import { readTags } from '../account/tags';

/** A recovery site's network as EC2 has it. */
export interface Site {
  /** In the plan's order; what does not exist is not among them. */
  subnets: Subnet[];
  groups: SecurityGroup[];
}

/** By filters, not by ids: what does not exist is then not listed, and one call tells of all that is missing. */
export async function findSite(ec2: EC2Client, site: RecoverySubnet): Promise<Site> {
  const wanted = subnetsOf(site);
  const { Subnets = [] } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: 'subnet-id', Values: wanted }] }),
  );
  const { SecurityGroups } = await ec2.send(
    new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-id', Values: site.securityGroups }] }),
  );
  const subnets = wanted.flatMap((id) => Subnets.find(({ SubnetId }) => SubnetId === id) ?? []);
  return { subnets, groups: SecurityGroups ?? [] };
}

/** What is wrong with the subnets and their security groups. */
export function siteFindings(wanted: RecoverySubnet, { subnets, groups }: Site, vms: number): string[] {
  const findings: string[] = [];
  for (const id of subnetsOf(wanted)) {
    const subnet = subnets.find(({ SubnetId }) => SubnetId === id);
    if (subnet === undefined) findings.push(`The subnet ${id} does not exist.`);
    else if (subnet.State !== 'available') findings.push(`The subnet ${id} is in the state ${subnet.State}.`);
  }
  // A VM for which one of them has no address goes to the next.
  const free = subnets.reduce((sum, { AvailableIpAddressCount: count = Infinity }) => sum + count, 0);
  if (subnets.length > 0 && free < vms) {
    const ids = subnets.map(({ SubnetId }) => SubnetId);
    const what = ids.length === 1 ? `The subnet ${ids[0]} has` : `The subnets ${ids.join(', ')} have`;
    findings.push(`${what} ${free} free addresses; ${vms} VMs need one each.`);
  }
  for (const id of wanted.securityGroups) {
    const group = groups.find(({ GroupId }) => GroupId === id);
    if (group === undefined) findings.push(`The security group ${id} does not exist.`);
    for (const { SubnetId, VpcId } of subnets)
      if (group !== undefined && group.VpcId !== VpcId)
        findings.push(`The security group ${id} is in ${group.VpcId}, the subnet ${SubnetId} in ${VpcId}.`);
  }
  return findings;
}

/** The subnet of each VM with a fixed address: the one whose block it is in; the first where it is in none. */
export function fixedSubnets(plan: DrPlan, subnets: Subnet[]): Map<string, Subnet> {
  return new Map(
    plan.vms.flatMap(({ name, privateAddress }) => {
      if (privateAddress === undefined) return [];
      const address = ipaddr.IPv4.parse(privateAddress);
      const holds = ({ CidrBlock }: Subnet): boolean =>
        CidrBlock !== undefined && address.match(ipaddr.IPv4.parseCIDR(CidrBlock));
      const subnet = subnets.find(holds) ?? subnets[0];
      return subnet === undefined ? [] : [[name, subnet] as const];
    }),
  );
}

/** What is wrong with the fixed private addresses of the plan. */
export async function addressFindings(ec2: EC2Client, plan: DrPlan, subnets: Subnet[]): Promise<string[]> {
  const subnetOf = fixedSubnets(plan, subnets);
  const findings: string[] = [];
  for (const subnet of new Set(subnetOf.values()))
    findings.push(
      ...(await findingsIn(
        ec2,
        plan.name,
        subnet,
        plan.vms.flatMap(({ name, privateAddress }) =>
          privateAddress === undefined || subnetOf.get(name) !== subnet
            ? []
            : [{ vm: name, address: privateAddress }],
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
