/**
 * What vCenter lets an Ethernet card's address be. Its prefix 00:50:56 is VMware's: what a person chooses has a fourth byte
 * up to 3f, what vCenter itself assigns one from 80 to bf ("Static MAC Addresses" and "VMware OUI Allocation", vSphere
 * Networking); ESXi generates 00:0c:29. A VM whose card has an address of another kind is not powered on.
 */
const CHOSEN = /^00:50:56:[0-3][0-9a-f](:[0-9a-f]{2}){2}$/;
const ASSIGNED = /^00:50:56:[89ab][0-9a-f](:[0-9a-f]{2}){2}$/;

/** How a card gets its address: fields of VirtualEthernetCard. */
export interface CardAddress {
  addressType: 'manual' | 'assigned' | 'generated';
  macAddress?: string;
}

/**
 * `assigned` asks for an address of vCenter's own kind; "the server might override the value […] if it does not fall in the
 * right ranges or is determined to be a duplicate" (VirtualEthernetCard, vSphere Web Services API): what came of it is to be
 * read back. Other addresses are not asked for: one that is new is better than a VM that does not start.
 * @param mac colon-separated
 */
export function cardAddress(mac: string): CardAddress {
  const macAddress = mac.toLowerCase();
  if (CHOSEN.test(macAddress)) return { addressType: 'manual', macAddress };
  if (ASSIGNED.test(macAddress)) return { addressType: 'assigned', macAddress };
  return { addressType: 'generated' };
}

/** What an operator has to know of an address before the VM comes home, if anything. */
export function addressNote(mac: string): string | undefined {
  switch (cardAddress(mac).addressType) {
    case 'manual':
      return undefined;
    case 'assigned':
      return `its address ${mac} is one that vCenter assigns itself, and vCenter gives it another one where it thinks that it is taken`;
    case 'generated':
      return (
        `its address ${mac} cannot be kept, as vCenter takes 00:50:56:00 to 00:50:56:3f only; it gets a new one. Change what goes ` +
        'by the old one (reservations at the DHCP server, licences, network settings in the guest that name it)'
      );
  }
}
