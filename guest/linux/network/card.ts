/** A network device as the guest's own configuration has it, whoever reads that configuration. */
export interface Device {
  /** The file that says so. */
  where: string;
  kind: 'card' | 'bridge' | 'bond' | 'vlan' | 'other';
  /** Its name, where the configuration goes by name; no pattern. */
  name?: string;
  /** Static addresses, without prefix lengths. */
  addresses: string[];
  /** Whether the default route leads through it. */
  gateway: boolean;
  /** Names of the devices that it is made of or lies on. */
  over: string[];
}

/** What the network of the primary site looked like to the guest. */
export interface GuestNetwork {
  /** Its own static addresses. */
  addresses: string[];
}

/** Drivers of network cards at the recovery site: EC2's, and the one that stands in for it under QEMU. */
export const CLOUD_DRIVERS = ['ena', 'virtio_net'];

export const WRITTEN_BY = '# Written by Lifeboat for the recovery site; removed on the way home.\n';

/** Configuration files are read whole; nothing that a person wrote is larger. */
export const MAX_TEXT_BYTES = 1024 * 1024;

/** What a name may be that is no pattern: Linux allows more, and nobody uses it. */
export function plainName(name: string | undefined): string | undefined {
  const plain = name?.trim().replace(/^(["'])(.*)\1$/, '$2');
  return plain !== undefined && /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(plain) ? plain : undefined;
}

/** The addresses among words such as `10.20.30.41/24`, in the order given. */
export function addressesIn(words: string[]): string[] {
  return words.flatMap((word) => {
    const address = /^["']?((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+)(?:\/|["',;]|$)/.exec(
      word,
    )?.[1];
    return address === undefined || /^(127\.|::1$|fe80:)/i.test(address) ? [] : [address.toLowerCase()];
  });
}
