import { debugfs, listing, removeFixtures, text } from './guest-fixture';
import {
  adapt,
  BARE,
  enabled,
  goHome,
  guestWith,
  IFUPDOWN,
  masked,
  NETPLAN,
  NETWORK_MANAGER,
  ONLINE_WANTS,
  STATIC_KEYFILE,
  staticYaml,
  unit,
  WANTS,
  type Changes,
} from './guest-stay-fixture';

const NETWORKD_FILE = '/etc/systemd/network/00-lifeboat.network';
const NETPLAN_FILE = '/etc/netplan/90-lifeboat.yaml';
const KEYFILE = '/etc/NetworkManager/system-connections/lifeboat.nmconnection';
const LAN = 'etc/NetworkManager/system-connections/lan.nmconnection';

/** Who asks for an address in an adapted guest, by what was put into it. */
function askers(files: Record<string, string>): string[] {
  return [NETWORKD_FILE, NETPLAN_FILE, KEYFILE, '/etc/sysconfig/network/ifcfg-eth0']
    .filter((path) => files[path] !== undefined)
    .map((path) => path.split('/').at(-1) ?? '');
}

afterAll(removeFixtures);

describe('who takes the card at the recovery site is what acts', () => {
  const dhcpBy: [string, Changes[], string[]][] = [
    ['netplan for networkd', [NETPLAN, { 'etc/netplan/01.yaml': staticYaml() }], ['90-lifeboat.yaml']],
    [
      'NetworkManager, with netplan in between',
      [NETPLAN, NETWORK_MANAGER, { 'etc/netplan/01.yaml': staticYaml('NetworkManager') }],
      ['90-lifeboat.yaml', 'lifeboat.nmconnection'],
    ],
    [
      "NetworkManager, by a vendor's netplan file",
      [
        NETPLAN,
        NETWORK_MANAGER,
        {
          'usr/lib/netplan/00-network-manager-all.yaml':
            'network:\n  version: 2\n  renderer: NetworkManager\n',
          'etc/netplan/01.yaml': staticYaml(),
        },
      ],
      ['90-lifeboat.yaml', 'lifeboat.nmconnection'],
    ],
    [
      'networkd, where the renderer NetworkManager is not installed any more',
      [NETPLAN, { 'etc/netplan/01.yaml': staticYaml('NetworkManager') }],
      ['90-lifeboat.yaml'],
    ],
    [
      'NetworkManager, where netplan has it for this card only',
      [
        NETPLAN,
        NETWORK_MANAGER,
        {
          'etc/netplan/01.yaml': staticYaml('networkd').replace(
            '    ens192:\n',
            '    ens192:\n      renderer: NetworkManager\n',
          ),
        },
      ],
      ['90-lifeboat.yaml', 'lifeboat.nmconnection'],
    ],
    [
      'networkd after ifupdown, where netplan is purged and its YAML left',
      [IFUPDOWN, { 'etc/netplan/50-cloud-init.yaml': staticYaml() }],
      ['00-lifeboat.network'],
    ],
    [
      "networkd after ifupdown, where netplan's generator is masked",
      [
        NETPLAN,
        IFUPDOWN,
        {
          'etc/netplan/01.yaml': staticYaml(),
          'etc/systemd/system-generators/netplan': { link: '/dev/null' },
        },
      ],
      ['00-lifeboat.network'],
    ],
    ['networkd, where netplan has no YAML', [NETPLAN], ['00-lifeboat.network']],
    [
      'networkd after ifupdown, where NetworkManager is removed and its link left',
      [
        IFUPDOWN,
        {
          [`${WANTS}/NetworkManager.service`]: { link: '/lib/systemd/system/NetworkManager.service' },
          [LAN]: STATIC_KEYFILE,
        },
      ],
      ['00-lifeboat.network'],
    ],
    [
      'networkd after ifupdown, where NetworkManager is disabled, or masked',
      [IFUPDOWN, NETWORK_MANAGER, masked('NetworkManager.service')],
      ['00-lifeboat.network'],
    ],
    ['NetworkManager beside ifupdown', [IFUPDOWN, NETWORK_MANAGER], ['lifeboat.nmconnection']],
    [
      'networkd, where the card is its own and NetworkManager runs beside it',
      [
        NETWORK_MANAGER,
        enabled('systemd-networkd.service'),
        {
          'etc/systemd/network/10-lan.network':
            '[Match]\nName=ens192\n[Network]\nAddress=10.20.30.41/24\nGateway=10.20.30.1\n',
        },
      ],
      ['00-lifeboat.network'],
    ],
    [
      'NetworkManager, enabled by a preset at the first boot',
      [
        { ...unit('NetworkManager.service'), 'etc/machine-id': 'uninitialized\n' },
        { 'usr/lib/systemd/system-preset/85-nm.preset': 'enable NetworkManager*\ndisable *\n' },
      ],
      ['lifeboat.nmconnection'],
    ],
    [
      'networkd, where the preset is of long ago',
      [
        {
          ...unit('NetworkManager.service'),
          'usr/lib/systemd/system-preset/85-nm.preset': 'enable NetworkManager*\n',
        },
      ],
      ['00-lifeboat.network'],
    ],
    [
      'NetworkManager, enabled by an alias',
      [
        unit('NetworkManager.service'),
        {
          'etc/systemd/system/dbus-org.freedesktop.NetworkManager.service': {
            link: '/usr/lib/systemd/system/NetworkManager.service',
          },
        },
      ],
      ['lifeboat.nmconnection'],
    ],
    [
      'wicked, on a card that keeps its name',
      [
        enabled('wicked.service'),
        {
          'etc/sysconfig/network/ifcfg-eth0':
            "STARTMODE='auto'\nBOOTPROTO='static'\nIPADDR='10.20.30.41/24'\n",
          'etc/sysconfig/network/ifcfg-lo': "IPADDR='127.0.0.1/8'\n",
          'etc/sysconfig/network/routes': 'default 10.20.30.1 - -\n',
        },
      ],
      ['ifcfg-eth0'],
    ],
  ];

  it.each(dhcpBy)('%s', async (_, changes, expected) => {
    const disk = guestWith(...changes);
    const before = listing(disk);
    await adapt(disk);
    expect(askers(listing(disk))).toEqual(expected);
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it.each<[string, Changes[]]>([
    ['netplan would have networkd', [NETPLAN, { 'etc/netplan/01.yaml': staticYaml() }]],
    ['netplan is purged and its YAML left', [IFUPDOWN, { 'etc/netplan/01.yaml': staticYaml() }]],
  ])('a masked systemd-networkd is told where %s', async (_, changes) => {
    await expect(adapt(guestWith(...changes, masked('systemd-networkd.service')))).rejects.toThrow(
      /masks systemd-networkd\.service, .* Unmask it/,
    );
  });

  it('a masked systemd-networkd does not matter where NetworkManager can have the card', async () => {
    const disk = guestWith(NETPLAN, NETWORK_MANAGER, masked('systemd-networkd.service'), {
      'etc/netplan/01.yaml': staticYaml(),
    });
    await adapt(disk);
    expect(text(disk, NETPLAN_FILE)).toContain('renderer: NetworkManager');
    expect(text(disk, KEYFILE)).toContain('method=auto');
  });

  it('a masked wait-online stays masked: boot scripts wait by themselves', async () => {
    const disk = guestWith(IFUPDOWN, masked('systemd-networkd-wait-online.service'));
    expect((await adapt(disk)).warnings).toEqual([]);
    expect(text(disk, NETWORKD_FILE)).toContain('DHCP=ipv4');
    expect(listing(disk)['/etc/systemd/system/systemd-networkd-wait-online.service']).toBe('link /dev/null');
    expect(text(disk, '/var/lib/lifeboat/run-boot-scripts')).toMatch(/has_address; do\n {2}sleep 1/);
  });

  it("keeps NetworkManager from a card that is networkd's", async () => {
    const disk = guestWith(NETWORK_MANAGER, enabled('systemd-networkd.service'), {
      'etc/systemd/network/10-lan.network': '[Match]\nName=ens192\n[Network]\nAddress=10.20.30.41/24\n',
    });
    await adapt(disk);
    expect(text(disk, '/etc/NetworkManager/conf.d/zz-lifeboat.conf')).toContain(
      'unmanaged-devices+=driver:ena;driver:virtio_net',
    );
  });
});

describe('netplan', () => {
  it('waits for the card: it is not optional, and no name keeps network-online waiting', async () => {
    const disk = guestWith(NETPLAN, { 'etc/netplan/01.yaml': staticYaml() });
    await adapt(disk);
    expect(text(disk, NETPLAN_FILE)).not.toContain('optional');
    expect(text(disk, '/etc/systemd/system/systemd-networkd-wait-online.service.d/zz-lifeboat.conf')).toMatch(
      /ConditionPathIsSymbolicLink=\n\n\[Service\]\nExecStart=\nExecStart=\/usr\/lib\/systemd\/systemd-networkd-wait-online\n/,
    );
  });

  it('keeps what needs no card, and nothing that lies on one', async () => {
    const disk = guestWith(NETPLAN, {
      'etc/netplan/01.yaml': staticYaml(),
      'etc/netplan/02.yaml': [
        'network:',
        '  bridges:',
        '    br0: {interfaces: [ens192], addresses: [10.20.31.1/24]}',
        '    br-lan: {addresses: [10.99.0.1/24]}',
        '    br-vpn: {interfaces: [he-ipv6]}',
        '  vlans:',
        '    vlan7: {id: 7, link: ens192, addresses: [10.20.7.41/24]}',
        '    vlan8: {id: 8, link: br0}',
        '  tunnels:',
        '    he-ipv6: {mode: sit, remote: 192.0.2.1, local: 192.0.2.2}',
        '',
      ].join('\n'),
    });
    const before = listing(disk);
    const { warnings } = await adapt(disk);
    const yaml = text(disk, NETPLAN_FILE);
    expect(yaml).toMatch(/br-lan:[^]*br-vpn:[^]*he-ipv6:/);
    expect(yaml).not.toMatch(/br0|vlan|ens192/);
    for (const name of ['br0', 'vlan7', 'vlan8'])
      expect(warnings).toContainEqual(
        expect.stringMatching(new RegExp(`^${name} .* lies on the primary site's network card`)),
      );
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('that cannot be read is set aside and told', async () => {
    const disk = guestWith(NETPLAN, { 'etc/netplan/01.yaml': 'network: [\n' });
    const { warnings } = await adapt(disk);
    expect(warnings).toContainEqual(expect.stringMatching(/01\.yaml is no YAML/));
    expect(listing(disk)['/etc/netplan/01.yaml']).toBeUndefined();
    await goHome(disk);
    expect(text(disk, '/etc/netplan/01.yaml')).toBe('network: [\n');
  });

  it('cannot reach this program by the names of its devices', async () => {
    const disk = guestWith(NETPLAN, {
      'etc/netplan/01.yaml':
        'network:\n  __proto__: {tunnels: {polluted: {mode: sit}}}\n  tunnels:\n    __proto__: {mode: sit}\n    constructor: {mode: sit}\n',
    });
    await adapt(disk);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('may have its YAML behind a symbolic link, which comes back', async () => {
    const disk = guestWith(NETPLAN, {
      'etc/netplan/01.yaml': { link: '/opt/network/lan.yaml' },
      'opt/network/lan.yaml': staticYaml(),
    });
    const before = listing(disk);
    await adapt(disk);
    expect(listing(disk)['/etc/netplan/01.yaml']).toBeUndefined();
    expect(text(disk, '/opt/network/lan.yaml')).toBe(staticYaml());
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });
});

describe('NetworkManager', () => {
  it('that leaves cards alone gets this one, where nothing else could have it', async () => {
    const disk = guestWith(IFUPDOWN, NETWORK_MANAGER, masked('systemd-networkd.service'), {
      'usr/lib/NetworkManager/conf.d/10-globally-managed-devices.conf':
        '[keyfile]\nunmanaged-devices=*,except:type:wifi,except:type:gsm,except:type:cdma\n',
    });
    await adapt(disk);
    expect(text(disk, '/etc/NetworkManager/conf.d/zz-lifeboat.conf')).toContain(
      'unmanaged-devices+=except:driver:ena;except:driver:virtio_net\n',
    );
  });

  it.each([
    ['*', '*,except:type:wifi'],
    ['by name', 'interface-name:ens192'],
  ])('that leaves cards alone (%s) leaves this one to systemd-networkd', async (_, unmanaged) => {
    const disk = guestWith(IFUPDOWN, NETWORK_MANAGER, {
      'etc/NetworkManager/NetworkManager.conf': `[keyfile]\nunmanaged-devices=${unmanaged}\n`,
    });
    await adapt(disk);
    expect(askers(listing(disk))).toEqual(['00-lifeboat.network']);
  });

  it("gets a profile with the zone of the primary site's, which is set aside", async () => {
    const disk = guestWith(NETWORK_MANAGER, { [LAN]: STATIC_KEYFILE });
    await adapt(disk);
    expect(text(disk, KEYFILE)).toMatch(/\nzone=internal\n/);
    expect(listing(disk)[`/${LAN}`]).toBeUndefined();
    expect(listing(disk)[`/${ONLINE_WANTS}/NetworkManager-wait-online.service`]).toMatch(/^link /);
  });

  it('has ifcfg files of Red Hat set aside, by MAC address or by name, and not those of software', async () => {
    const scripts = 'etc/sysconfig/network-scripts';
    const disk = guestWith(NETWORK_MANAGER, {
      [`${scripts}/ifcfg-ens192`]:
        'TYPE=Ethernet\nHWADDR=00:50:56:00:00:01\nBOOTPROTO=none\nONBOOT=yes\nIPADDR=10.20.30.41\nPREFIX=24\nGATEWAY=10.20.30.1\nZONE=work\n',
      [`${scripts}/ifcfg-virbr0`]: 'TYPE=Bridge\nDEVICE=virbr0\nBOOTPROTO=none\nIPADDR=192.168.122.1\n',
      [`${scripts}/ifcfg-lo`]: 'DEVICE=lo\nIPADDR=127.0.0.1\n',
    });
    const before = listing(disk);
    await adapt(disk);
    const files = listing(disk);
    expect(files[`/${scripts}/ifcfg-ens192`]).toBeUndefined();
    expect(files[`/${scripts}/ifcfg-virbr0`]).toBeDefined();
    expect(files[`/${scripts}/ifcfg-lo`]).toBeDefined();
    expect(text(disk, KEYFILE)).toContain('\nzone=work\n');
    expect(text(disk, '/etc/systemd/network/00-lifeboat.link')).toContain('\nName=ens192\n');
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('does not get its card taken by the bridge that had it', async () => {
    const connections = 'etc/NetworkManager/system-connections';
    const disk = guestWith(NETWORK_MANAGER, {
      [`${connections}/br0.nmconnection`]:
        '[connection]\nid=bridge\nuuid=aaaaaaaa-0000-0000-0000-000000000000\ntype=bridge\ninterface-name=br0\nautoconnect-slaves=1\n[ipv4]\nmethod=manual\naddress1=10.20.30.41/24,10.20.30.1\n',
      [`${connections}/port.nmconnection`]:
        '[connection]\nid=port\ntype=ethernet\ninterface-name=ens192\nmaster=aaaaaaaa-0000-0000-0000-000000000000\nslave-type=bridge\n',
      [`${connections}/vlan.nmconnection`]:
        '[connection]\nid=vlan\ntype=vlan\ninterface-name=vlan7\n[vlan]\nid=7\nparent=br0\n[ipv4]\nmethod=manual\naddress1=10.20.7.41/24\n',
      [`${connections}/wg.nmconnection`]:
        '[connection]\nid=wg\ntype=wireguard\ninterface-name=wg0\n[ipv4]\nmethod=manual\naddress1=10.9.0.1/24\n',
    });
    const { warnings } = await adapt(disk);
    const left = Object.keys(listing(disk)).filter((path) => path.startsWith(`/${connections}/`));
    expect(left).toEqual([`/${connections}/lifeboat.nmconnection`, `/${connections}/wg.nmconnection`]);
    expect(warnings).toContainEqual(expect.stringMatching(/^br0 /));
    expect(text(disk, '/etc/systemd/network/00-lifeboat.link')).toContain('\nName=ens192\n');
  });
});

describe('systemd-networkd', () => {
  it('does not wait for a bridge whose card is not there', async () => {
    const disk = guestWith(enabled('systemd-networkd.service'), {
      'etc/systemd/network/10-br0.netdev': '[NetDev]\nName=br0\nKind=bridge\n',
      'etc/systemd/network/20-br0-port.network': '[Match]\nName=ens192\n[Network]\nBridge=br0\nVLAN=vlan7\n',
      'etc/systemd/network/30-br0.network':
        '[Match]\nName=br0\n[Network]\nAddress=10.20.30.41/24\nGateway=10.20.30.1\n',
      'etc/systemd/network/40-vlan7.netdev': '[NetDev]\nName=vlan7\nKind=vlan\n[VLAN]\nId=7\n',
      'etc/systemd/network/41-vlan7.network': '[Match]\nName=vlan7\n[Network]\nAddress=10.20.7.41/24\n',
      'etc/systemd/network/50-br-lan.netdev': '[NetDev]\nName=br-lan\nKind=bridge\n',
      'etc/systemd/network/51-br-lan.network': '[Match]\nName=br-lan\n[Network]\nAddress=10.99.0.1/24\n',
    });
    const before = listing(disk);
    const { warnings } = await adapt(disk);
    const left = Object.keys(listing(disk)).filter((path) => /^\/etc\/systemd\/network\//.test(path));
    expect(left.map((path) => path.split('/').at(-1))).toEqual([
      '00-lifeboat.link',
      '00-lifeboat.network',
      '50-br-lan.netdev',
      '51-br-lan.network',
    ]);
    expect(warnings.filter((one) => /lies on the primary/.test(one))).toHaveLength(2);
    expect(text(disk, '/etc/systemd/network/00-lifeboat.link')).toContain('\nName=ens192\n');
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('has an address in a drop-in taken for what it is', async () => {
    const disk = guestWith(enabled('systemd-networkd.service'), {
      'etc/systemd/network/10-lan.network': '[Match]\nName=ens192\n',
      'etc/systemd/network/10-lan.network.d/address.conf': '[Network]\nAddress=10.20.30.41/24\n',
    });
    await adapt(disk);
    expect(listing(disk)['/etc/systemd/network/10-lan.network']).toBeUndefined();
  });
});

describe('ifupdown', () => {
  it('is followed to the files that it reads', async () => {
    const disk = guestWith(IFUPDOWN, {
      'etc/network/interfaces':
        'auto lo\niface lo inet loopback\nsource /etc/network/cards/*.cfg\nsource-directory more\nsource /srv/network/*\n',
      'etc/network/cards/lan.cfg': 'auto ens192\niface ens192 inet static\n  address 10.20.30.41/24\n',
      'etc/network/cards/lan.old': 'iface ens192 inet dhcp\n',
      'etc/network/more/dmz':
        'auto ens224\niface ens224 inet static\n  address 10.20.40.41/24\n  up ip route add 10.0.0.0/8 \\\n     via 10.20.40.1\n',
    });
    const before = listing(disk);
    const { warnings } = await adapt(disk);
    expect(text(disk, '/etc/network/cards/lan.cfg')).toContain('# lifeboat aside: iface ens192');
    expect(text(disk, '/etc/network/cards/lan.old')).toBe('iface ens192 inet dhcp\n');
    expect(text(disk, '/etc/network/more/dmz')).toContain('# lifeboat aside:      via 10.20.40.1');
    expect(text(disk, '/etc/network/interfaces')).toContain('# lifeboat aside: source /srv/network/*');
    expect(warnings).toContainEqual(expect.stringContaining('/srv/network/*'));
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });
});

describe("Red Hat's network-scripts, without NetworkManager", () => {
  const scripts = 'etc/sysconfig/network-scripts';
  const RED_HAT: Changes = {
    'usr/lib/systemd/systemd-networkd': undefined,
    'etc/init.d/network': '#!/bin/sh\n',
    'etc/rc.d/rc3.d/S10network': { link: '../../init.d/network' },
    'etc/sysconfig/network': 'NETWORKING=yes\nHOSTNAME=db01\nGATEWAY=10.20.30.1\n',
    'etc/hosts': '10.20.30.41 db01\n',
  };

  it('ask on the card of the default route, by its name and no MAC address', async () => {
    const disk = guestWith(RED_HAT, {
      [`${scripts}/ifcfg-System_eth0`]:
        'DEVICE=eth0\nHWADDR=00:50:56:00:00:01\nBOOTPROTO=none\nONBOOT=yes\nIPADDR=10.20.30.41\nGATEWAY=10.20.30.1\n',
      [`${scripts}/ifcfg-eth1`]: 'DEVICE=eth1\nONBOOT=yes\nBOOTPROTO=static\nIPADDR=10.20.40.41\n',
      [`${scripts}/route-eth0`]: '10.0.0.0/8 via 10.20.30.2\n',
    });
    const before = listing(disk);
    const { warnings } = await adapt(disk);
    const files = listing(disk);
    expect(text(disk, `/${scripts}/ifcfg-eth0`)).toMatch(/DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=dhcp\n/);
    for (const name of ['ifcfg-System_eth0', 'ifcfg-eth1', 'route-eth0'])
      expect(files[`/${scripts}/${name}`]).toBeUndefined();
    expect(text(disk, '/etc/sysconfig/network')).toContain('# lifeboat aside: GATEWAY');
    expect(text(disk, '/etc/hosts')).toContain('\n127.0.1.1 db01\n');
    expect(text(disk, '/etc/systemd/network/00-lifeboat.link')).toContain('\nName=eth0\n');
    expect(warnings).toContainEqual(expect.stringMatching(/card eth1 is not there/));
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('ask on the card of a bond, whose parts are set aside', async () => {
    const disk = guestWith(RED_HAT, {
      [`${scripts}/ifcfg-bond0`]:
        'DEVICE=bond0\nTYPE=Bond\nBONDING_MASTER=yes\nIPADDR=10.20.30.41\nGATEWAY=10.20.30.1\nBOOTPROTO=none\n',
      [`${scripts}/ifcfg-ens192`]: 'DEVICE=ens192\nMASTER=bond0\nSLAVE=yes\nBOOTPROTO=none\n',
    });
    const before = listing(disk);
    const { warnings } = await adapt(disk);
    expect(listing(disk)[`/${scripts}/ifcfg-bond0`]).toBeUndefined();
    expect(text(disk, `/${scripts}/ifcfg-ens192`)).not.toContain('MASTER');
    expect(warnings).toContainEqual(expect.stringMatching(/^bond0 /));
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('are told where no card can be chosen', async () => {
    const disk = guestWith(RED_HAT, {
      [`${scripts}/ifcfg-eth0`]: 'DEVICE=eth0\nIPADDR=10.20.30.41\n',
      [`${scripts}/ifcfg-eth1`]: 'DEVICE=eth1\nIPADDR=10.20.40.41\n',
    });
    await expect(adapt(disk)).rejects.toThrow(/which card of .* leads out .* cannot be told/);
  });
});

describe('dhcpcd', () => {
  it('asks by itself, without what it has for the primary site', async () => {
    const disk = guestWith(enabled('dhcpcd.service'), {
      'etc/dhcpcd.conf':
        'hostname\ninterface ens192\nstatic ip_address=10.20.30.41/24\nstatic routers=10.20.30.1\n',
    });
    const before = listing(disk);
    await adapt(disk);
    expect(askers(listing(disk))).toEqual([]);
    expect(text(disk, '/etc/dhcpcd.conf')).toMatch(/^interface ens192\n# lifeboat aside: static ip_address/m);
    expect(text(disk, '/etc/systemd/network/00-lifeboat.link')).toContain('\nName=ens192\n');
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });
});

describe('a hostile guest', () => {
  it('does not keep a preset matching for ever', async () => {
    const disk = guestWith({
      'etc/machine-id': undefined,
      'usr/lib/systemd/system-preset/x.preset': `enable ${'*a'.repeat(90)}b\n`,
    });
    await expect(adapt(disk)).resolves.toBeDefined();
  });

  it('whose profile is a directory, or a link in a circle, is adapted all the same or told', async () => {
    const disk = guestWith(NETWORK_MANAGER, { [`${LAN}/x`]: '' });
    debugfs(disk, ['symlink /etc/NetworkManager/system-connections/loop nowhere']);
    await expect(adapt(disk)).resolves.toBeDefined();
  });
});

it('the bare guest of these tests has nothing that acts', () => {
  expect(Object.keys(BARE).some((path) => path.includes('wants/') && BARE[path] !== undefined)).toBe(false);
});
