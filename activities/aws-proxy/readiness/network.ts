import {
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
  type SecurityGroup,
  type Subnet,
} from '@aws-sdk/client-ec2';
import ipaddr from 'ipaddr.js';
import { type DrPlan, type RecoverySubnet } from '../../../plan/schema';
import { listNetworkInterfaces } from '../account/lookup';
import { readTags } from '../account/tags';

/** A recovery subnet as EC2 has it. */
export interface Site {
  /** Absent where there is none. */
  subnet?: Subnet;
  groups: SecurityGroup[];
}

/** By filters, not by ids: what does not exist is then not listed, and one call tells of all that is missing. */
export async function findSite(ec2: EC2Client, { subnet, securityGroups }: RecoverySubnet): Promise<Site> {
  const { Subnets } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: 'subnet-id', Values: [subnet] }] }),
  );
  const { SecurityGroups } = await ec2.send(
    new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-id', Values: securityGroups }] }),
  );
  return { subnet: Subnets?.[0], groups: SecurityGroups ?? [] };
}

/** What is wrong with the subnet and its security groups. */
export function siteFindings(wanted: RecoverySubnet, { subnet, groups }: Site, vms: number): string[] {
  const findings: string[] = [];
  if (subnet === undefined) findings.push(`The subnet ${wanted.subnet} does not exist.`);
  else {
    if (subnet.State !== 'available')
      findings.push(`The subnet ${wanted.subnet} is in the state ${subnet.State}.`);
    const free = subnet.AvailableIpAddressCount;
    if (free !== undefined && free < vms)
      findings.push(`The subnet ${wanted.subnet} has ${free} free addresses; ${vms} VMs need one each.`);
  }
  for (const id of wanted.securityGroups) {
    const group = groups.find(({ GroupId }) => GroupId === id);
    if (group === undefined) findings.push(`The security group ${id} does not exist.`);
    else if (subnet !== undefined && group.VpcId !== subnet.VpcId)
      findings.push(
        `The security group ${id} is in ${group.VpcId}, the subnet ${wanted.subnet} in ${subnet.VpcId}.`,
      );
  }
  return findings;
}

/** What is wrong with the fixed private addresses of the plan. */
export async function addressFindings(
  ec2: EC2Client,
  plan: DrPlan,
  subnet: Subnet | undefined,
): Promise<string[]> {
  const wanted = plan.vms.flatMap(({ name, privateAddress }) =>
    privateAddress === undefined ? [] : [{ vm: name, address: privateAddress }],
  );
  if (wanted.length === 0 || subnet?.CidrBlock === undefined) return [];
  const findings = fixedAddressFindings(wanted, subnet.CidrBlock);
  // The whole subnet: secondary addresses (of a load balancer, say) are in use as well.
  const taken = await listNetworkInterfaces(ec2, [{ Name: 'subnet-id', Values: [subnet.SubnetId ?? ''] }]);
  for (const { NetworkInterfaceId, PrivateIpAddress, PrivateIpAddresses, TagSet } of taken) {
    // Left by an unfinished failover of this plan, which is removed before the next one launches anything.
    if (readTags(TagSet, ['plan', 'run', 'role'])?.plan === plan.name) continue;
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
