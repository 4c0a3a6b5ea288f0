import { isIP } from 'node:net';
import { type HostEntry } from '../../port';
import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { shellVariables } from '../network/shell-variables';
import { bringBack, setAside, withBlock, withoutBlock } from '../changes/marked-text';

/** What Debian gives a machine's own name that has no lasting address (hosts(5) in its installation). */
const OWN_ADDRESS = '127.0.1.1';
const MAX_HOSTNAME_BYTES = 64 * 1024;

/** What the guest is: names of its own, and the addresses that it had at the primary site. */
export interface Self {
  names: string[];
  addresses: string[];
}

/** Leads names to where the machines are at the recovery site, the guest's own name to itself. */
export async function planHosts(
  files: GuestFiles,
  plan: ChangePlan,
  hosts: HostEntry[],
  addresses: string[],
): Promise<void> {
  const name = await ownName(files);
  // A guest without a name of its own is not who the names of its address are meant for.
  const self = name === undefined ? undefined : { names: [name, name.replace(/\..*$/, '')], addresses };
  await plan.edit('/etc/hosts', (text) => hostsForRecoverySite(text, hosts, self));
}

/** The guest's host name, in lower case, from where systemd and older distributions keep it. */
async function ownName(files: GuestFiles): Promise<string | undefined> {
  for (const path of ['/etc/hostname', '/etc/HOSTNAME', '/etc/sysconfig/network']) {
    const real = await files.realpath(path);
    if (real === undefined || (await files.stat(real))?.type !== 'file') continue;
    const text = (await files.read(path, MAX_HOSTNAME_BYTES)).toString('latin1');
    const name = path.endsWith('network')
      ? shellVariables(text).get('HOSTNAME')
      : text
          .split('\n')
          .map((line) => line.trim())
          .find((line) => line !== '' && !line.startsWith('#'));
    if (name !== undefined && name !== '' && !/^localhost\b/i.test(name)) return name.toLowerCase();
  }
  return undefined;
}

/** /etc/hosts where the names lead to the addresses given, and to no others; names of the guest itself lead to itself. */
export function hostsForRecoverySite(
  text: string,
  hosts: HostEntry[],
  self: Self = { names: [], addresses: [] },
): string {
  const lines = hosts.map((entry) => ({ address: entry.address, names: [...entry.names] }));
  const own = lines[hosts.findIndex((entry) => entry.self === true)];
  const owner = (name: string) => lines.find((line) => line.names.includes(name.toLowerCase()));
  // Names that others have by the plan stay theirs, whatever the guest calls itself.
  own?.names.push(...new Set(self.names.filter((name) => owner(name) === undefined)));
  const loopback: string[] = [];
  const aside = setAside(text, (line) => {
    const [address, ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/);
    const moved = names.map(owner).find((one) => one !== undefined);
    const others = names.filter((name) => owner(name) === undefined);
    if (address && names.length > 0 && isSelf(address, names, self)) {
      // The same address a second time, or in another order, is not wrong: what asks takes the first.
      if (own !== undefined) own.names.push(...others);
      else if (others.length > 0) loopback.push(`${OWN_ADDRESS} ${others.join(' ')}`);
      return true;
    }
    if (!address || moved === undefined) return false;
    // The guest itself says that the line's other names are the same machine, so they move along with it;
    // but names of the guest itself stay with the guest.
    if (/^(127\.|::1$)/.test(address))
      loopback.push(...(others.length > 0 ? [`${address} ${others.join(' ')}`] : []));
    else moved.names.push(...others);
    return true;
  });
  if (aside === text && hosts.length === 0) return text;
  return withBlock(aside, [...loopback, ...lines.map((line) => `${line.address} ${line.names.join(' ')}`)]);
}

/** Whether a line is for an address that the guest had: one that it configured, or that its own name is at. */
function isSelf(address: string, names: string[], self: Self): boolean {
  if (/^(127\.|::1$|fe80:|ff0|0\.0\.0\.0$)/i.test(address)) return false;
  return (
    self.addresses.includes(address.toLowerCase()) ||
    names.some((name) => self.names.includes(name.toLowerCase()))
  );
}

/** Undoes {@link hostsForRecoverySite}, whatever else has changed in the file. */
export function hostsForPrimarySite(text: string): string {
  return bringBack(withoutBlock(text));
}

/** @throws Error where an entry is none: it came from a plan and from AWS, and goes into files of the guest */
export function checkHosts(hosts: HostEntry[]): HostEntry[] {
  return hosts.map(({ address, names, self }) => {
    if (isIP(address) === 0) throw new Error(`"${address}" is no IP address.`);
    for (const name of names) {
      if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/.test(name)) throw new Error(`"${name}" is no host name.`);
    }
    return { address, names: names.map((name) => name.toLowerCase()), ...(self === true ? { self } : {}) };
  });
}
