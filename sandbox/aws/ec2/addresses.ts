import { type InstanceNetworkInterfaceSpecification } from '@aws-sdk/client-ec2';
import ipaddr from 'ipaddr.js';
import { type Account } from '../account';
import { type SecurityGroupFixture, type SubnetFixture } from '../config';
import { AwsError } from '../wire/errors';

/** AWS keeps the first four addresses of a subnet and its last ("Subnet CIDR blocks", Amazon VPC User Guide). */
const RESERVED_AT_START = 4;
const RESERVED = RESERVED_AT_START + 1;

/** Third part of the public addresses 127.N.20.x. */
const PUBLIC_SUBNET = 20;
const PUBLIC_ADDRESSES = 254;

/** Addresses that instances of a subnet could have. */
export function addressCount(cidr: string): number {
  const [, bits] = ipaddr.IPv4.parseCIDR(cidr);
  return 2 ** (32 - bits) - RESERVED;
}

/** Private addresses in use; an instance keeps its own until it is terminated. */
export function usedAddresses(account: Account, subnetId: string): Set<string> {
  return new Set(
    account.instances
      .all()
      .filter((instance) => instance.subnetId === subnetId && instance.state !== 'terminated')
      .flatMap(({ privateAddress, secondaryAddresses = [] }) => [privateAddress, ...secondaryAddresses]),
  );
}

/** Addresses that a request names for its network interface. */
export interface WantedAddresses {
  /** EC2 chooses one where this is absent. */
  primary: string | undefined;
  secondary: string[];
}

/**
 * The addresses of a network interface. Those that would be on more than one instance, and more than the type takes, are refused.
 * "A maximum of one may be primary" is of InstanceNetworkInterfaceSpecification; the codes are guesses.
 */
export function wantedAddresses(
  card: InstanceNetworkInterfaceSpecification,
  instances: number,
  most: number,
): WantedAddresses {
  const listed = card.PrivateIpAddresses ?? [];
  const primary = listed.filter((entry) => entry.Primary === true);
  if (card.SecondaryPrivateIpAddressCount !== undefined)
    throw new AwsError('UnsupportedOperation', 'This sandbox chooses no secondary addresses; name them.');
  if (primary.length > 1)
    throw new AwsError('InvalidParameterCombination', 'Only one private IP address can be primary.');
  if (card.PrivateIpAddress !== undefined && primary.length > 0)
    throw new AwsError(
      'InvalidParameterCombination',
      'privateIpAddress and a primary entry of privateIpAddresses may not be specified on the same request',
    );
  const secondary = listed
    .filter((entry) => entry.Primary !== true)
    .map((entry) => entry.PrivateIpAddress ?? '');
  if (instances > 1 && (card.PrivateIpAddress !== undefined || listed.length > 0))
    throw new AwsError(
      'InvalidParameterCombination',
      'A private IP address may not be specified for more than one instance.',
    );
  if (1 + secondary.length > most)
    throw new AwsError(
      'PrivateIpAddressLimitExceeded',
      `The instance type takes ${most} private addresses a network interface.`,
    );
  return { primary: card.PrivateIpAddress ?? primary[0]?.PrivateIpAddress, secondary };
}

/**
 * The private addresses of a new instance: those asked for, and the lowest that is free where no primary one is.
 * @throws AwsError InvalidParameterValue, InvalidIPAddress.InUse, InsufficientFreeAddressesInSubnet
 */
export function chooseAddresses(
  account: Account,
  subnet: SubnetFixture,
  { primary, secondary }: WantedAddresses,
): { privateAddress: string; secondaryAddresses?: string[] } {
  const used = usedAddresses(account, subnet.id);
  for (const wanted of primary === undefined ? secondary : [primary, ...secondary]) {
    checkAddress(subnet, wanted, used);
    used.add(wanted);
  }
  return {
    privateAddress: primary ?? lowestFree(subnet, used),
    ...(secondary.length === 0 ? {} : { secondaryAddresses: secondary }),
  };
}

function checkAddress(subnet: SubnetFixture, wanted: string, used: ReadonlySet<string>): void {
  const index = ipaddr.IPv4.isValidFourPartDecimal(wanted)
    ? toNumber(wanted) - firstAddress(subnet) - RESERVED_AT_START
    : -1;
  if (index < 0 || index >= addressCount(subnet.cidr))
    throw new AwsError(
      'InvalidParameterValue',
      `Address ${wanted} does not fall within the subnet's address range`,
    );
  if (used.has(wanted)) throw new AwsError('InvalidIPAddress.InUse', `Address ${wanted} is in use.`);
}

function firstAddress({ cidr }: SubnetFixture): number {
  const [network] = ipaddr.IPv4.parseCIDR(cidr);
  return toNumber(network.toString());
}

function lowestFree(subnet: SubnetFixture, used: ReadonlySet<string>): string {
  const first = firstAddress(subnet);
  const count = addressCount(subnet.cidr);
  for (let index = 0; index < count; index++) {
    const address = toText(first + RESERVED_AT_START + index);
    if (!used.has(address)) return address;
  }
  throw new AwsError(
    'InsufficientFreeAddressesInSubnet',
    `There are not enough free addresses in subnet '${subnet.id}' to satisfy the requested number of instances.`,
  );
}

/**
 * A public address that no instance has: a loopback address of this host. It is none that an instance had before,
 * while there are others: whoever remembers an address too long should notice.
 */
export function choosePublicAddress(account: Account): string {
  const instances = account.instances.all();
  const inUse = new Set(instances.map(({ publicAddress }) => publicAddress));
  const hadBefore = new Set(instances.map(({ previousPublicAddress }) => previousPublicAddress));
  const free = Array.from(
    { length: PUBLIC_ADDRESSES },
    (_, index) => `127.${account.config.loopbackOctet}.${PUBLIC_SUBNET}.${index + 1}`,
  ).filter((address) => !inUse.has(address));
  const chosen = free.find((address) => !hadBefore.has(address)) ?? free[0];
  if (chosen === undefined)
    throw new AwsError('InsufficientAddressCapacity', 'No public addresses are left.', 500);
  return chosen;
}

/** TCP ports that security groups open to everybody. */
export function openPorts(groups: SecurityGroupFixture[]): number[] {
  const ports = new Set<number>();
  for (const { ingress } of groups)
    for (const { fromPort, toPort, cidr } of ingress)
      if (cidr === '0.0.0.0/0') for (let port = fromPort; port <= toPort; port++) ports.add(port);
  return [...ports].sort((a, b) => a - b);
}

const toNumber = (address: string): number =>
  ipaddr.IPv4.parse(address).octets.reduce((number, octet) => number * 256 + octet, 0);

const toText = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');

/** The IPv6 address of an instance, where its subnet has a block: its place there is that of the private address. */
export function ipv6AddressOf(
  { ipv6Cidr }: Pick<SubnetFixture, 'ipv6Cidr'>,
  privateAddress: string,
): string | undefined {
  if (ipv6Cidr === undefined) return undefined;
  const [network] = ipaddr.IPv6.parseCIDR(ipv6Cidr);
  const host = ipaddr.IPv4.parse(privateAddress).toByteArray();
  return ipaddr.fromByteArray([...network.toByteArray().slice(0, 12), ...host]).toString();
}
