import { type ListedVm } from '../datacenter/primary-site';

/** What both sites hold, as they themselves list it. */
export interface SiteListing {
  /** Instances of every state but terminated. */
  instances: { id: string; state: string }[];
  volumes: { id: string; state: string }[];
  snapshots: { id: string }[];
  images: { id: string; isShell: boolean; snapshots: string[] }[];
  networkInterfaces: { id: string; instance: string | undefined }[];
  /** Record names and types of the hosted zone, such as `www.shop.example. A`. */
  dnsRecords: string[];
  vms: ListedVm[];
}

/** What they are meant to hold when nothing is under way. */
export interface Expected {
  /** The AWS proxy. */
  instances: string[];
  /** Of the present DR copies and launch copies. */
  snapshots: string[];
  dnsRecords: string[];
  vms: string[];
}

/** Everything in the listing that nobody needs any more, and everything that should be there and is not. */
export function findLeftovers(listing: SiteListing, expected: Expected): string[] {
  const shells = listing.images.filter(({ isShell }) => isShell);
  const snapshots = new Set([...expected.snapshots, ...shells.flatMap((image) => image.snapshots)]);
  const vms = new Map(listing.vms.map((vm) => [vm.name, vm]));
  return [
    ...listing.instances
      .filter(({ id }) => !expected.instances.includes(id))
      .map(({ id, state }) => `instance ${id} (${state})`),
    ...listing.volumes.map(({ id, state }) => `volume ${id} (${state})`),
    ...listing.snapshots.filter(({ id }) => !snapshots.has(id)).map(({ id }) => `snapshot ${id}`),
    ...listing.images.filter(({ isShell }) => !isShell).map(({ id }) => `image ${id}`),
    ...listing.networkInterfaces
      .filter(({ instance }) => instance === undefined || !expected.instances.includes(instance))
      .map(({ id, instance }) => `network interface ${id} (of ${instance ?? 'no instance'})`),
    ...listing.dnsRecords
      .filter((record) => !expected.dnsRecords.includes(record))
      .map((record) => `DNS record ${record}`),
    ...listing.vms.flatMap((vm) =>
      expected.vms.includes(vm.name)
        ? vm.besides.map((file) => `${file} of VM ${vm.name}`)
        : [`VM ${vm.name}`],
    ),
    ...expected.vms.filter((name) => !vms.has(name)).map((name) => `no VM ${name}`),
    ...expected.snapshots
      .filter((id) => !listing.snapshots.some((snapshot) => snapshot.id === id))
      .map((id) => `no snapshot ${id}`),
  ];
}
