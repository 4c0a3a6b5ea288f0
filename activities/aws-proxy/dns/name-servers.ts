import { isIPv6 } from 'node:net';
import { getServers, lookup, Resolver } from 'node:dns/promises';
import { canonicalRecordName, resolverName } from '../../../plan/record-name';
import { type ExpectedAnswer } from './contract';
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

/** What a server answers: values, sorted, none where it says that there is no record; or why it gives no answer. */
export type Answer =
  { values: string[]; /** Seconds; the shortest. */ ttl?: number } | { values: undefined; reason: string };

function resolverOf({ address }: NameServer): Resolver {
  const resolver = new Resolver({ timeout: ANSWER_MILLISECONDS, tries: TRIES });
  resolver.setServers([address]);
  return resolver;
}

/** Asks one server for the addresses, or the target, that a name has. */
export function ask(
  server: NameServer,
  { name, type }: Pick<ExpectedAnswer, 'name' | 'type'>,
): Promise<Answer> {
  const resolver = resolverOf(server);
  const asked = resolverName(name);
  return answerOf(async () => {
    if (type === 'CNAME') return { values: (await resolver.resolveCname(asked)).map(canonicalRecordName) };
    const records =
      type === undefined
        ? await resolver.resolve4(asked, { ttl: true })
        : await resolver.resolve6(asked, { ttl: true });
    return {
      values: records.map(({ address }) => address),
      ttl: Math.min(...records.map(({ ttl }) => ttl)),
    };
  });
}

/** Asks one server which name servers a domain is delegated to. */
export function askNameServers(server: NameServer, domain: string): Promise<Answer> {
  return answerOf(async () => ({
    values: (await resolverOf(server).resolveNs(resolverName(domain))).map(canonicalRecordName),
  }));
}

async function answerOf(asking: () => Promise<{ values: string[]; ttl?: number }>): Promise<Answer> {
  try {
    const { values, ...more } = await asking();
    return { values: values.sort(), ...more };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return NO_RECORD.includes(code) ? { values: [] } : { values: undefined, reason: code };
  }
}

/** Whether an answer is one that is expected, however its addresses are written. */
export function isExpected(answered: readonly string[], { values, any }: ExpectedAnswer): boolean {
  const wanted = new Set(values.map(oneSpelling));
  const given = new Set(answered.map(oneSpelling));
  if (any === true) return given.size > 0 && [...given].every((value) => wanted.has(value));
  return given.size === wanted.size && [...given].every((value) => wanted.has(value));
}

/** `2001:DB8:0::1` is `2001:db8::1`. */
function oneSpelling(value: string): string {
  return isIPv6(value) ? new URL(`http://[${value}]/`).hostname : value;
}
