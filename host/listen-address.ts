import { isIP } from 'node:net';

/**
 * Where to listen: `127.0.0.1:9464` or `[::1]:9464`. By IP address, as a name may stand for several, and without a zone.
 * @returns the address without brackets; undefined where the text is none
 */
export function listenAddress(text: string): { host: string; port: number } | undefined {
  const [, ipv6, ipv4 = '', digits = ''] = /^(?:\[([^\]%]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const [host, family] = ipv6 === undefined ? [ipv4, 4] : [ipv6, 6];
  const port = Number(digits);
  return isIP(host) === family && port <= 65_535 ? { host, port } : undefined;
}
