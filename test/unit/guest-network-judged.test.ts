import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findLayout } from '../../guest/disk/layout';
import { plainSource } from '../../guest/disk/plain-source';
import { openSystem } from '../../guest/disk/system-mounts';
import { Units } from '../../guest/linux/units';
import { removeFixtures, unpackedGuest } from './guest-fixture';
import {
  adapt,
  enabled,
  guestWith,
  IFUPDOWN,
  masked,
  NETPLAN,
  NETWORK_MANAGER,
  STATIC_KEYFILE,
  staticYaml,
  unit,
  WANTS,
  type Changes,
} from './guest-stay-fixture';
import { hostTool, judgedBy, tools } from './guest-tools';

/** Adapted guests, judged by the programs that will read their configuration. */

const netplan = tools('usr/libexec/netplan/generate', 'lib/netplan/generate');
const nmcli = tools('usr/bin/nmcli');
const ifquery = tools('sbin/ifquery', 'usr/sbin/ifquery');
const analyze = hostTool('systemd-analyze', ['--root=/', '--version']);
const systemctl = hostTool('systemctl', ['--root=/', '--version']);

async function adapted(...changes: Changes[]): Promise<string> {
  const disk = guestWith(...changes);
  await adapt(disk);
  return unpackedGuest(disk);
}

/** All that a directory below a root holds, as one text. */
function contents(root: string, directory: string): string {
  const path = join(root, directory);
  if (!existsSync(path)) return '';
  return readdirSync(path)
    .map((name) => readFileSync(join(path, name), 'utf8'))
    .join('\n');
}

afterAll(removeFixtures);

describe("netplan's own generator", () => {
  const judge = (name: string, changes: Changes[], look: (root: string) => void) =>
    judgedBy(netplan, 'no netplan', name, async (tool) => {
      const root = await adapted(NETPLAN, ...changes);
      for (const file of readdirSync(join(root, 'etc/netplan')))
        chmodSync(join(root, 'etc/netplan', file), 0o600);
      const { status, stderr } = tool.run(['--root-dir', root]);
      expect(stderr.trim()).toBe('');
      expect(status).toBe(0);
      look(root);
    });

  judge(
    'has DHCP on the card by networkd, and waits for it',
    [{ 'etc/netplan/a.yaml': staticYaml() }],
    (root) => {
      const networks = contents(root, 'run/systemd/network');
      expect(networks).toMatch(/Driver=ena\n[^]*DHCP=ipv4/);
      expect(networks).toMatch(/Driver=virtio_net\n[^]*DHCP=ipv4/);
      expect(networks).not.toMatch(/RequiredForOnline=no|Address=|ens192/);
    },
  );

  judge(
    'leaves the card to NetworkManager',
    [NETWORK_MANAGER, { 'etc/netplan/a.yaml': staticYaml('NetworkManager') }],
    (root) => {
      expect(contents(root, 'run/systemd/network')).toBe('');
      expect(contents(root, 'run/NetworkManager/system-connections')).toBe('');
      // Empty: NetworkManager manages all devices.
      expect(contents(root, 'run/NetworkManager/conf.d')).toBe('');
      expect(existsSync(join(root, 'run/NetworkManager/conf.d/10-globally-managed-devices.conf'))).toBe(true);
    },
  );

  judge(
    'takes what was kept of the other devices',
    [
      {
        'etc/netplan/a.yaml': staticYaml(),
        'etc/netplan/b.yaml':
          'network:\n  bridges:\n    br0: {interfaces: [ens192], addresses: [10.1.1.1/24]}\n    br-lan: {addresses: [10.99.0.1/24], parameters: {stp: false}}\n  vlans:\n    vlan7: {id: 7, link: ens192}\n    vlan9: {id: 9, link: br-lan}\n  bonds:\n    bond0: {interfaces: [ens224], parameters: {mode: active-backup}}\n  tunnels:\n    sit9: {mode: sit, remote: 192.0.2.1, local: 192.0.2.2}\n',
      },
    ],
    (root) => {
      const networks = contents(root, 'run/systemd/network');
      expect(networks).toMatch(/Name=br-lan/);
      expect(networks).toMatch(/Name=vlan9/);
      expect(networks).toMatch(/Name=sit9/);
      expect(networks).not.toMatch(/br0|vlan7|bond0|ens/);
    },
  );

  judge(
    'takes guests of old, with a gateway and a MAC address',
    [
      {
        'etc/netplan/a.yaml':
          'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    lan:\n      match: {macaddress: "00:50:56:00:00:01"}\n      set-name: lan0\n      macaddress: "00:50:56:00:00:09"\n      addresses: [10.20.30.41/24]\n      gateway4: 10.20.30.1\n      optional: true\n',
      },
    ],
    (root) => {
      expect(contents(root, 'run/systemd/network')).not.toMatch(/MACAddress|gateway|RequiredForOnline=no/i);
      expect(readFileSync(join(root, 'etc/systemd/network/00-lifeboat.link'), 'utf8')).toContain('Name=lan0');
    },
  );
});

describe('NetworkManager', () => {
  judgedBy(nmcli, 'no nmcli', 'reads our profile as it is meant', async (tool) => {
    const root = await adapted(NETWORK_MANAGER, {
      'etc/NetworkManager/system-connections/lan.nmconnection': STATIC_KEYFILE,
    });
    const keyfile = readFileSync(
      join(root, 'etc/NetworkManager/system-connections/lifeboat.nmconnection'),
      'utf8',
    );
    const { status, stdout, stderr } = tool.run(
      ['--offline', 'connection', 'modify', 'connection.id', 'judged'],
      keyfile,
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    for (const line of [
      'id=judged',
      'type=ethernet',
      'autoconnect-priority=100',
      'zone=internal',
      'driver=ena;virtio_net;',
      'method=auto',
    ])
      expect(stdout.split('\n')).toContain(line);
  });
});

describe('ifupdown', () => {
  judgedBy(ifquery, 'no ifupdown', 'has the loopback only', async (tool) => {
    const root = await adapted(IFUPDOWN, {
      'etc/network/interfaces':
        'auto lo ens192\niface lo inet loopback\nallow-hotplug ens224\niface ens192 inet static\n  address 10.20.30.41/24 # ours\n  up ip route add 10.0.0.0/8 \\\n    via 10.20.30.2\nno-auto-down ens192\nmapping ens256\n  script /bin/true\niface br0 inet manual\n  bridge_ports ens192\n',
    });
    const file = join(root, 'etc/network/interfaces');
    const { status, stdout, stderr } = tool.run([`--interfaces=${file}`, '--list', '--all']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toBe('lo\n');
    expect(tool.run([`--interfaces=${file}`, 'ens192']).status).not.toBe(0);
  });
});

describe('systemd', () => {
  judgedBy(systemctl, 'no systemctl', 'starts the same services that we say it starts', async (tool) => {
    const disk = guestWith(
      NETPLAN,
      NETWORK_MANAGER,
      masked('NetworkManager.service'),
      unit('systemd-resolved.service'),
      {
        'usr/lib/systemd/system/wicked.service':
          '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
      },
      enabled('networking.service', 'etc/systemd/system/network-online.target.wants'),
      { [`${WANTS}/gone.service`]: { link: '/usr/lib/systemd/system/gone.service' } },
    );
    const { offset } = (await findLayout(disk)).root;
    const source = plainSource({ diskPath: disk, offset });
    const files = await openSystem([{ mountPoint: '/', source }], false);
    let units: Units;
    try {
      units = await Units.read(files);
    } finally {
      await files.close();
    }
    const root = unpackedGuest(disk);
    for (const name of [
      'systemd-networkd',
      'NetworkManager',
      'systemd-resolved',
      'wicked',
      'networking',
      'gone',
    ]) {
      const state = tool.run([`--root=${root}`, 'is-enabled', `${name}.service`]).stdout.trim();
      expect([name, units.enabled(`${name}.service`)]).toEqual([name, state === 'enabled']);
    }
    expect(units.masked('NetworkManager.service')).toBe(true);
  });

  judgedBy(
    systemctl,
    'no systemctl',
    'has cloud-init and growing masked, and networkd enabled',
    async (tool) => {
      const root = await adapted(IFUPDOWN, unit('cloud-init.service'), unit('systemd-repart.service'), {
        'boot/grub/grub.cfg': '\tlinux /boot/vmlinuz root=UUID=x cloud-init=enabled\n',
        'usr/lib/repart.d/50-root.conf': '[Partition]\nType=root\n',
      });
      const state = (name: string) => tool.run([`--root=${root}`, 'is-enabled', name]).stdout.trim();
      expect(state('cloud-init.service')).toBe('masked');
      expect(state('systemd-repart.service')).toBe('masked');
      expect(state('systemd-networkd.service')).toBe('enabled');
      expect(state('systemd-networkd-wait-online.service')).toBe('enabled');
    },
  );

  judgedBy(analyze, 'no analyze', "waits for the network by our drop-in, after netplan's", async (tool) => {
    const dropIns = 'etc/systemd/system/systemd-networkd-wait-online.service.d';
    const root = await adapted(
      NETPLAN,
      { 'etc/netplan/a.yaml': staticYaml() },
      {
        // What netplan 1.1 puts into /run, where it is read in the same order.
        [`${dropIns}/10-netplan.conf`]:
          '[Unit]\nConditionPathIsSymbolicLink=/run/x\n\n[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online -i eth0:degraded\n',
      },
    );
    const { status, stdout } = tool.run([
      `--root=${root}`,
      'cat-config',
      'systemd/system/systemd-networkd-wait-online.service',
    ]);
    expect(status).toBe(0);
    expect(stdout.slice(stdout.indexOf('10-netplan.conf'))).toMatch(
      /zz-lifeboat\.conf\n[^]*ConditionPathIsSymbolicLink=\n\n\[Service\]\nExecStart=\nExecStart=\/usr\/lib\/systemd\/systemd-networkd-wait-online\n/,
    );
  });
});

describe('udev', () => {
  const card = '/sys/class/net/eth0';
  const driver = join(card, 'device/driver');
  const inNamespace = existsSync(driver) ? hostTool('unshare', ['--mount', 'udevadm', '--version']) : [];
  judgedBy(
    inNamespace,
    'no udev, no right to mount, or no network card',
    'gives the card the name that the guest knows',
    async (tool) => {
      const root = await adapted(IFUPDOWN);
      // Asked of this host's own card, in a mount namespace of its own; nothing is renamed by asking.
      const script =
        'mount --make-rprivate / && mkdir -p /run/systemd/network && mount -t tmpfs none /run/systemd/network && ' +
        'sed "s/^Driver=.*/Driver=*/" "$0" > /run/systemd/network/00-lifeboat.link && exec udevadm test-builtin net_setup_link "$1"';
      const { stdout } = tool.run([
        '--mount',
        'sh',
        '-c',
        script,
        join(root, 'etc/systemd/network/00-lifeboat.link'),
        card,
      ]);
      expect(stdout).toMatch(/^ID_NET_NAME=ens192$/m);
    },
  );
});
