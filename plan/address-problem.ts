import { parse as parseAddress } from 'ipaddr.js';

const RANGE_NAMES: Record<string, string> = {
  loopback: 'a loopback address',
  linkLocal: 'a link-local address',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
  unspecified: 'the unspecified address',
  reserved: 'from a reserved range',
};

/** Probes are sent to a VM's address: never to this host itself, to a metadata service, or to everybody. */
export function addressProblem(address: string): string | undefined {
  const range = parseAddress(address).range();
  if (range === 'private' || range === 'unicast' || range === 'carrierGradeNat') return undefined;
  return `${address} cannot be a VM's address (it is ${RANGE_NAMES[range] ?? range})`;
}
