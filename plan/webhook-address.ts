import ipaddr from 'ipaddr.js';
import { isLoopbackHost } from './loopback-host';

/** Of addresses that no receiver has: a host's metadata service is link-local, and gives out credentials. */
const FORBIDDEN_RANGES = ['linkLocal', 'unspecified', 'multicast', 'broadcast'];

/** AWS's metadata service by IPv6 lies among unique local addresses, where receivers may be, too. */
const METADATA_SERVICE_IPV6 = 'fd00:ec2::254';

/** Whether nothing may be sent to an address, wherever it comes from: a URL, or a name server. */
export function isForbiddenAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return true;
  // An IPv4 address in an IPv6 one is the same host.
  const parsed = ipaddr.process(address);
  return (
    FORBIDDEN_RANGES.includes(parsed.range()) ||
    parsed.toString() === ipaddr.parse(METADATA_SERVICE_IPV6).toString()
  );
}

/**
 * What is wrong with a webhook's URL; undefined where nothing is.
 * @param allowHttp whether the plan says that plain HTTP will do
 */
export function webhookUrlProblem(text: string, allowHttp: boolean): string | undefined {
  const url = URL.parse(text);
  if (url === null || !['https:', 'http:'].includes(url.protocol))
    return 'must be an address like https://ops.example/lifeboat';
  if (url.username !== '' || url.password !== '')
    return 'must not have a user or a password in it: plans are shown to people. The signature tells who sends';
  if (url.hash !== '') return 'must not have a "#…" at its end, which is never sent';
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(literal) && isForbiddenAddress(literal))
    return 'must not lead to a link-local, multicast or unspecified address';
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname) && !allowHttp)
    return 'must begin with https://; what is sent over http:// can be read on its way. Where that is meant, say "allowHttp: true"';
  return undefined;
}
