import { type EC2Client, type NetworkInterface, type Subnet } from '@aws-sdk/client-ec2';
import ipaddr from 'ipaddr.js';
import { fixedAddresses } from '../../../plan/recovery-site/vm-site';
import { listNetworkInterfaces } from '../account/lookup';
import { readTags } from '../account/tags';
import { type PlacedVm, type Site, subnetsIn } from './network';

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

/** Network interfaces by the subnet that they are in. */
export type TakenAddresses = ReadonlyMap<string, NetworkInterface[]>;

/** What is in use of the subnets: all of each, as secondary addresses (of a load balancer, say) are in use as well. */
export async function findTaken(ec2: EC2Client, subnets: Iterable<Subnet>): Promise<TakenAddresses> {
  const taken = new Map<string, NetworkInterface[]>();
  for (const { SubnetId = '', CidrBlock } of subnets)
    if (CidrBlock !== undefined && !taken.has(SubnetId))
      taken.set(SubnetId, await listNetworkInterfaces(ec2, [{ Name: 'subnet-id', Values: [SubnetId] }]));
  return taken;
}

/** What is wrong with the fixed private addresses of the plan. */
export function addressFindings(
  taken: TakenAddresses,
  plan: string,
  placed: PlacedVm[],
  fixed: ReadonlyMap<string, Subnet>,
): string[] {
  return [...new Set(fixed.values())].flatMap((subnet) =>
    findingsIn(
      taken.get(subnet.SubnetId ?? '') ?? [],
      plan,
      subnet,
      placed.flatMap(({ vm, site }) =>
        fixed.get(vm) === subnet ? fixedAddresses(site).map((address) => ({ vm, address })) : [],
      ),
    ),
  );
}

function findingsIn(
  taken: NetworkInterface[],
  plan: string,
  subnet: Subnet,
  wanted: { vm: string; address: string }[],
): string[] {
  if (subnet.CidrBlock === undefined) return [];
  const findings = fixedAddressFindings(wanted, subnet.CidrBlock);
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
