import { type Warn } from '../disks/fstab';

/**
 * The network as the kernel's arguments give it: dracut's (dracut.cmdline(7)), systemd-network-generator's and cloud-init's, which
 * read the same ones. What a real system has there, often since it was installed over the network, are addresses and cards of
 * the primary site; NetworkManager and networkd go on with them after the initramfs, instead of the guest's own files.
 */
const NETWORK_ARGUMENT =
  /(^|[\s"'])((?:ip|nameserver|rd\.route|ifname|vlan|bond|team|bridge|BOOTIF)=([^\s"']+))/g;
/** Values of ip= that name no address and no card: they hold at both sites. */
const HOLDS_ANYWHERE =
  /^ip=(?:dhcp[46]?|on|any|off|none|auto6?|either6|link6|link-local|single-dhcp|ibft|both|bootp|rarp)$/;

/** Kernel arguments without the network of the primary site: on EC2 a card asks for its address. @param where the file, for messages */
export function withoutPrimaryNetwork(text: string, where: string, warn: Warn): string {
  const left: string[] = [];
  const changed = text.replace(NETWORK_ARGUMENT, (whole, before: string, argument: string) => {
    if (HOLDS_ANYWHERE.test(argument)) return whole;
    left.push(argument);
    // The blank before goes with the argument; a quote stays.
    return /^\s$/.test(before) ? '' : before;
  });
  if (left.length > 0)
    warn(
      `${where} sets the network by the kernel's arguments, as it is at the primary site (${[...new Set(left)].join(' ')}): they are left out on EC2.`,
    );
  return changed;
}

/** The arguments that {@link withoutPrimaryNetwork} left out of a text, each once, in their order. */
export function primaryNetworkOf(original: string): string[] {
  const found = [...original.matchAll(NETWORK_ARGUMENT)].map(([, , argument = '']) => argument);
  return [...new Set(found)].filter((argument) => !HOLDS_ANYWHERE.test(argument));
}

/** A line of kernel arguments that was made anew at the recovery site, with what the primary site's network needs. */
export function withPrimaryNetwork(line: string, network: readonly string[]): string {
  const present = new Set(primaryNetworkOf(line));
  const missing = network.filter((argument) => !present.has(argument));
  return missing.length === 0 ? line : `${line.trimEnd()} ${missing.join(' ')}`;
}
