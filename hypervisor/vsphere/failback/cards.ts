import { type NicConfiguration } from '../../port';
import { cardAddress } from './mac';
import { type CardBacking, type SiteNetwork } from '../networks';
import { type AnyVirtualDevice, type VirtualDeviceConfigSpec } from '../vim/schema';

/** Types of network cards; the others derive from VirtualEthernetCard, too, and have its fields. */
const CARD_TYPES: ReadonlySet<string> = new Set([
  'VirtualE1000',
  'VirtualE1000e',
  'VirtualEthernetCard',
  'VirtualPCNet32',
  'VirtualSriovEthernetCard',
  'VirtualVmxnet',
  'VirtualVmxnet2',
  'VirtualVmxnet3',
]);

type Card = Extract<AnyVirtualDevice, { $type: 'VirtualVmxnet3' }>;

function cardsOf(devices: readonly AnyVirtualDevice[]): Card[] {
  return devices
    .filter((device): device is Card => CARD_TYPES.has(device.$type))
    .sort((a, b) => (a.unitNumber ?? 0) - (b.unitNumber ?? 0) || a.key - b.key);
}

/** A paravirtual card, connected whenever the VM runs. @param key negative, and of this change alone */
export function newCard(
  { network, mac }: NicConfiguration,
  networks: ReadonlyMap<string, SiteNetwork>,
  key: number,
): Card {
  return {
    $type: 'VirtualVmxnet3',
    key,
    backing: backingOn(network, networks),
    connectable: { startConnected: true, allowGuestControl: true, connected: false },
    wakeOnLanEnabled: true,
    ...cardAddress(mac),
  };
}

/** What makes of a VM's cards those that are wanted: the first becomes the first, and so on. Empty where they are. */
export function cardChanges(
  devices: readonly AnyVirtualDevice[],
  wanted: readonly NicConfiguration[],
  networks: ReadonlyMap<string, SiteNetwork>,
): VirtualDeviceConfigSpec[] {
  const cards = cardsOf(devices);
  const changes: VirtualDeviceConfigSpec[] = [];
  wanted.forEach((nic, index) => {
    const card = cards[index];
    if (card === undefined) {
      changes.push({ operation: 'add', device: newCard(nic, networks, -100 - index) });
      return;
    }
    const backing = backingOn(nic.network, networks);
    const address = cardAddress(nic.mac);
    const kept = address.macAddress === undefined || address.macAddress === card.macAddress?.toLowerCase();
    if (kept && isOn(card, backing)) return;
    changes.push({ operation: 'edit', device: { ...card, backing, ...(kept ? {} : address) } });
  });
  for (const device of cards.slice(wanted.length)) changes.push({ operation: 'remove', device });
  return changes;
}

function backingOn(network: string, networks: ReadonlyMap<string, SiteNetwork>): CardBacking {
  const found = networks.get(network);
  if (found === undefined) throw new Error(`No network was chosen for "${network}".`);
  return found.backing;
}

/** Whether a card is on a network; vCenter adds the port and its cookie to what a distributed switch's backing was given as. */
function isOn({ backing }: Card, wanted: CardBacking): boolean {
  if (backing?.$type !== wanted.$type) return false;
  switch (wanted.$type) {
    case 'VirtualEthernetCardNetworkBackingInfo':
      return (backing as typeof wanted).network?.value === wanted.network?.value;
    case 'VirtualEthernetCardDistributedVirtualPortBackingInfo':
      return (backing as typeof wanted).port.portgroupKey === wanted.port.portgroupKey;
    case 'VirtualEthernetCardOpaqueNetworkBackingInfo':
      return (backing as typeof wanted).opaqueNetworkId === wanted.opaqueNetworkId;
  }
}
