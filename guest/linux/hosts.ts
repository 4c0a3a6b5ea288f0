import { isIP } from 'node:net';
import { type HostEntry } from '../port';
import { bringBack, setAside, withBlock, withoutBlock } from './marked-text';

/** /etc/hosts where the names lead to the addresses given, and to no others. */
export function hostsForRecoverySite(text: string, hosts: HostEntry[]): string {
  if (hosts.length === 0) return text;
  const lines = hosts.map((entry) => ({ address: entry.address, names: [...entry.names] }));
  const owner = (name: string) => lines.find((line) => line.names.includes(name.toLowerCase()));
  const loopback: string[] = [];
  const aside = setAside(text, (line) => {
    const [address, ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    const moved = names.map(owner).find((one) => one !== undefined);
    if (!address || moved === undefined) return false;
    const others = names.filter((name) => owner(name) === undefined);
    // The guest itself says that the line's other names are the same machine, so they move along with it;
    // but names of the guest itself stay with the guest.
    if (/^(127\.|::1$)/.test(address))
      loopback.push(...(others.length > 0 ? [`${address} ${others.join(' ')}`] : []));
    else moved.names.push(...others);
    return true;
  });
  return withBlock(aside, [...loopback, ...lines.map((line) => `${line.address} ${line.names.join(' ')}`)]);
}

/** Undoes {@link hostsForRecoverySite}, whatever else has changed in the file. */
export function hostsForPrimarySite(text: string): string {
  return bringBack(withoutBlock(text));
}

/** @throws Error where an entry is none: it came from a plan and from AWS, and goes into files of the guest */
export function checkHosts(hosts: HostEntry[]): HostEntry[] {
  return hosts.map(({ address, names }) => {
    if (isIP(address) === 0) throw new Error(`"${address}" is no IP address.`);
    for (const name of names) {
      if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/.test(name)) throw new Error(`"${name}" is no host name.`);
    }
    return { address, names: names.map((name) => name.toLowerCase()) };
  });
}
