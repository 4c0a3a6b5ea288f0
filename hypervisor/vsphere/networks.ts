import { type VimClient } from './vim/client';
import { type ManagedObject } from './vim/schema';
import {
  type VirtualEthernetCardDistributedVirtualPortBackingInfo,
  type VirtualEthernetCardNetworkBackingInfo,
  type VirtualEthernetCardOpaqueNetworkBackingInfo,
} from './vim/schema';
import { shownName } from './names';

export type CardBacking =
  | VirtualEthernetCardNetworkBackingInfo
  | VirtualEthernetCardDistributedVirtualPortBackingInfo
  | VirtualEthernetCardOpaqueNetworkBackingInfo;

/** A network that a VM's card can be put on. */
export interface SiteNetwork {
  name: string;
  ref: ManagedObject;
  backing: CardBacking;
}

/** Names of networks where the VMs were, to those where they come to. A name that is not in it stays the same. */
export type NetworkMapping = Readonly<Record<string, string>>;

/** All networks that VMs could be on and that this site lacks. */
export class NetworksMissingError extends Error {
  constructor(readonly problems: string[]) {
    super(problems.join(' '));
    this.name = 'NetworksMissingError';
  }
}

/** The networks of a datacenter: of standard switches, distributed switches (but for their uplinks) and NSX. */
export async function siteNetworks(client: VimClient, datacenter: ManagedObject): Promise<SiteNetwork[]> {
  const [all, portgroups, opaque] = await Promise.all([
    client.list('Network', ['name'], datacenter),
    client.list('DistributedVirtualPortgroup', ['key', 'config', 'tag'], datacenter),
    client.list('OpaqueNetwork', ['summary'], datacenter),
  ]);
  const switchUuids = await uuidsOf(
    client,
    portgroups.map(({ config }) => config?.distributedVirtualSwitch),
  );
  const networks: SiteNetwork[] = [];
  for (const { ref, name: escaped } of all) {
    if (escaped === undefined) continue;
    const name = shownName(escaped);
    const portgroup = portgroups.find((one) => one.ref.value === ref.value);
    const summary = opaque.find((one) => one.ref.value === ref.value)?.summary;
    if (portgroup !== undefined) {
      const switchUuid = switchUuids.get(portgroup.config?.distributedVirtualSwitch?.value ?? '');
      if (portgroup.key === undefined || switchUuid === undefined || isUplink(portgroup.tag)) continue;
      const port = { switchUuid, portgroupKey: portgroup.key };
      networks.push({
        name,
        ref,
        backing: { $type: 'VirtualEthernetCardDistributedVirtualPortBackingInfo', port },
      });
    } else if (summary?.$type === 'OpaqueNetworkSummary') {
      const { opaqueNetworkId, opaqueNetworkType } = summary;
      networks.push({
        name,
        ref,
        backing: {
          $type: 'VirtualEthernetCardOpaqueNetworkBackingInfo',
          opaqueNetworkId,
          opaqueNetworkType,
        },
      });
    } else {
      networks.push({
        name,
        ref,
        backing: { $type: 'VirtualEthernetCardNetworkBackingInfo', deviceName: escaped, network: ref },
      });
    }
  }
  return networks;
}

/**
 * The site's networks for names of networks where the VMs were.
 * @throws NetworksMissingError telling all that are missing, or of which there are several, at once
 */
export function chooseNetworks(
  networks: readonly SiteNetwork[],
  mapping: NetworkMapping,
  wanted: readonly string[],
): Map<string, SiteNetwork> {
  const chosen = new Map<string, SiteNetwork>();
  const problems: string[] = [];
  for (const before of new Set(wanted)) {
    const name = Object.hasOwn(mapping, before) ? (mapping[before] ?? before) : before;
    const found = networks.filter((network) => network.name === name);
    const [network] = found;
    if (found.length === 1 && network !== undefined) chosen.set(before, network);
    else if (network === undefined) problems.push(missing(before, name));
    else
      problems.push(
        `The datacenter has ${found.length} networks named "${name}" (${found.map(({ ref }) => ref.value).join(', ')}). Rename all but one.`,
      );
  }
  if (problems.length > 0) {
    const there = [...new Set(networks.map(({ name }) => name))].sort();
    throw new NetworksMissingError([...problems, `Its networks: ${there.join(', ') || 'none'}.`]);
  }
  return chosen;
}

/** Whether a port group is for the hosts' own network cards, and no VM's: vCenter tags it so, its simulator does not. */
function isUplink(tags: unknown): boolean {
  return (
    Array.isArray(tags) && tags.some((tag: { key?: unknown } | null) => tag?.key === 'SYSTEM/DVS.UPLINKPG')
  );
}

function missing(before: string, name: string): string {
  return before === name
    ? `The datacenter has no network "${name}": make it, or name the one to use instead in the settings' networks.`
    : `The datacenter has no network "${name}", which the settings' networks have for "${before}": make it, or change the settings.`;
}

async function uuidsOf(
  client: VimClient,
  switches: readonly (ManagedObject<'DistributedVirtualSwitch'> | undefined)[],
): Promise<Map<string, string>> {
  const refs = new Map(switches.flatMap((ref) => (ref === undefined ? [] : [[ref.value, ref] as const])));
  const uuids = new Map<string, string>();
  for (const [value, ref] of refs) {
    const { uuid } = await client.get(ref, 'uuid');
    if (uuid !== undefined) uuids.set(value, uuid);
  }
  return uuids;
}
