import { cardChanges, newCard } from '../../hypervisor/vsphere/failback/cards';
import { checkPlace } from '../../hypervisor/vsphere/controllers';
import { addressNote, cardAddress } from '../../hypervisor/vsphere/failback/mac';
import { chooseNetworks, NetworksMissingError, type SiteNetwork } from '../../hypervisor/vsphere/networks';

const network = (name: string, value: string): SiteNetwork => {
  const ref = { $ref: 'Network', value };
  return {
    name,
    ref,
    backing: { $type: 'VirtualEthernetCardNetworkBackingInfo', deviceName: name, network: ref },
  };
};
const NETWORKS = [network('App', 'network-1'), network('DB', 'network-2'), network('DB', 'network-3')];

describe("a new VM's hardware in vSphere", () => {
  it.each([
    ['00:50:56:00:00:00', 'manual', true],
    ['00:50:56:3F:ff:ff', 'manual', true],
    ['00:50:56:40:00:00', 'generated', false],
    ['00:50:56:80:00:00', 'assigned', true],
    ['00:50:56:bf:ff:ff', 'assigned', true],
    ['00:50:56:c0:00:00', 'generated', false],
    ['00:0c:29:12:34:56', 'generated', false],
    ['52:54:00:12:34:56', 'generated', false],
  ])('takes the address %s as %s', (mac, addressType, kept) => {
    expect(cardAddress(mac)).toEqual({ addressType, ...(kept ? { macAddress: mac.toLowerCase() } : {}) });
    expect(addressNote(mac) === undefined).toBe(addressType === 'manual');
  });

  it('chooses networks by the mapping, then by name, and tells all that it cannot', () => {
    const chosen = chooseNetworks(NETWORKS, { Old: 'App' }, ['Old', 'App', 'Old']);
    expect([...chosen].map(([before, { ref }]) => [before, ref.value])).toEqual([
      ['Old', 'network-1'],
      ['App', 'network-1'],
    ]);
    const choose = () => chooseNetworks(NETWORKS, { Old: 'Gone' }, ['Old', 'DB', 'constructor']);
    expect(choose).toThrow(NetworksMissingError);
    expect(choose).toThrow(
      /no network "Gone", which the settings' networks have for "Old".* 2 networks named "DB" \(network-2, network-3\).*no network "constructor".*Its networks: App, DB\.$/,
    );
  });

  it('makes the cards that there are into those that are wanted', () => {
    const networks = new Map([['App', network('App', 'network-1')]]);
    const nic = { network: 'App', mac: '00:50:56:00:00:01' };
    const card = { ...newCard(nic, networks, 4000), unitNumber: 7 };
    expect(cardChanges([card], [nic], networks)).toEqual([]);
    expect(cardChanges([card], [], networks)).toEqual([{ operation: 'remove', device: card }]);
    const another = { ...nic, mac: '00:50:56:00:00:02' };
    expect(cardChanges([card], [another], networks)).toEqual([
      { operation: 'edit', device: { ...card, addressType: 'manual', macAddress: another.mac } },
    ]);
    expect(cardChanges([card], [nic, another], networks)).toEqual([
      { operation: 'add', device: newCard(another, networks, -101) },
    ]);
    // An address that vCenter chose stays.
    const foreign = { ...nic, mac: '52:54:00:00:00:01' };
    expect(cardChanges([card], [foreign], networks)).toEqual([]);
    expect(() => cardChanges([], [{ ...nic, network: 'DB' }], networks)).toThrow(
      'No network was chosen for "DB".',
    );
  });

  it.each([
    ['pvscsi', 0, 7, 'no disk can be there'],
    ['pvscsi', 4, 0, 'controllers 0 to 3'],
    ['lsilogic', 0, 16, 'disks at 0 to 15'],
    ['sata', 0, 30, 'disks at 0 to 29'],
    ['nvme', 0, -1, 'disks at 0 to 14'],
    ['nvme', 0.5, 0, 'controllers 0 to 3'],
  ] as const)('has no place for a disk at %s %d:%d', (kind, bus, slot, told) => {
    expect(() => checkPlace({ kind, bus }, slot)).toThrow(told);
  });
});
