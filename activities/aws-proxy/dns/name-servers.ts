import { getServers, lookup, Resolver } from 'node:dns/promises';
import { type HostedZone } from './hosted-zone';

/** A server to ask. */
export interface NameServer {
  /** What people know it by. */
  name: string;
  /** `address`, `address:port` or `[address]:port`; the address may be of either family. */
  address: string;
}

/**
 * Milliseconds that a server has for an answer, and how often it is asked: an authoritative server answers in well
 * under one second, and a datagram can get lost. The activity's retries do the rest.
 */
const ANSWER_MILLISECONDS = 2000;
const TRIES = 2;

/** Errors of the resolver that are an answer: there is no such record. */
const NO_RECORD = ['ENOTFOUND', 'ENODATA'];

/** The servers that answer for a zone; for a private zone those that this host asks, which are its VPC's. */
export async function nameServersOf(zone: HostedZone): Promise<NameServer[]> {
  if (zone.nameServers.length === 0) return getServers().map((address) => ({ name: address, address }));
  return Promise.all(
    zone.nameServers.map(async (name) => {
      const { address, family } = await lookup(name, { order: 'ipv4first' });
      return { name, address: family === 6 ? `[${address}]` : address };
    }),
  );
}

/**
 * The addresses that one server has for a name, sorted; none where it says that there is no record.
 * @returns undefined where the server gives no answer, with the reason
 */
export async function askForAddresses(
  server: NameServer,
  name: string,
): Promise<{ values: string[] } | { values: undefined; reason: string }> {
  const resolver = new Resolver({ timeout: ANSWER_MILLISECONDS, tries: TRIES });
  resolver.setServers([server.address]);
  try {
    return { values: (await resolver.resolve4(name)).sort() };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return NO_RECORD.includes(code) ? { values: [] } : { values: undefined, reason: code };
  }
}
