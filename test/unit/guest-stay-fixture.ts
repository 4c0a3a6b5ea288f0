import { guestAdapter } from '../../guest/adapter';
import { type AdaptationReport, type HostEntry } from '../../guest/port';
import { makeGuest, ROOT_UUID, type debian } from './guest-fixture';

/** Guests with the units of real ones, as far as who configures the network depends on them. */

export type Changes = NonNullable<Parameters<typeof debian>[0]>;

const UNITS = 'usr/lib/systemd/system';
export const WANTS = 'etc/systemd/system/multi-user.target.wants';
export const ONLINE_WANTS = 'etc/systemd/system/network-online.target.wants';

export const unit = (name: string): Changes => ({ [`${UNITS}/${name}`]: '[Service]\nExecStart=/bin/true\n' });
export const enabled = (name: string, wants = WANTS): Changes => ({
  ...unit(name),
  [`${wants}/${name}`]: { link: `/${UNITS}/${name}` },
});
export const masked = (name: string): Changes => ({ [`etc/systemd/system/${name}`]: { link: '/dev/null' } });

/** Systemd with networkd that is not enabled, and nothing that configures a network. */
export const BARE: Changes = {
  'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n`,
  'etc/machine-id': '0123456789abcdef0123456789abcdef\n',
  'etc/systemd/network/10-ens192.network': undefined,
  'etc/systemd/network/20-lo.network': undefined,
  'etc/udev/rules.d/70-persistent-net.rules': undefined,
  [`${WANTS}/systemd-networkd.service`]: undefined,
  'usr/lib/systemd/systemd-networkd-wait-online': 'wait',
  ...unit('multi-user.target'),
  ...unit('systemd-networkd.service'),
  ...unit('systemd-networkd-wait-online.service'),
};

export const NETPLAN: Changes = {
  'usr/libexec/netplan/generate': 'generator',
  'usr/lib/systemd/system-generators/netplan': { link: '../../../libexec/netplan/generate' },
  ...enabled('systemd-networkd.service'),
  ...enabled('systemd-networkd-wait-online.service', ONLINE_WANTS),
};

export const IFUPDOWN: Changes = {
  'usr/sbin/ifup': 'ifup',
  ...enabled('networking.service'),
  'etc/network/interfaces':
    'source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\nauto ens192\niface ens192 inet static\n  address 10.20.30.41/24\n  gateway 10.20.30.1\n  dns-nameservers 10.20.30.2\n',
};

export const NETWORK_MANAGER: Changes = {
  'usr/sbin/NetworkManager': 'NetworkManager',
  ...enabled('NetworkManager.service'),
  ...unit('NetworkManager-wait-online.service'),
};

export const STATIC_KEYFILE =
  '[connection]\nid=lan\nuuid=11111111-2222-3333-4444-555555555555\ntype=ethernet\ninterface-name=ens192\nzone=internal\n[ipv4]\nmethod=manual\naddress1=10.20.30.41/24,10.20.30.1\n';

export const staticYaml = (renderer?: string): string =>
  `network:\n  version: 2\n${renderer === undefined ? '' : `  renderer: ${renderer}\n`}  ethernets:\n    ens192:\n      addresses: [10.20.30.41/24]\n      routes:\n        - to: default\n          via: 10.20.30.1\n      nameservers:\n        addresses: [10.20.30.2]\n`;

/** A guest as it is before a failover. */
export const guestWith = (...changes: Changes[]): string =>
  makeGuest(Object.assign({}, BARE, ...changes) as Changes);

const adapter = guestAdapter();

export const adapt = (diskPath: string, hosts: HostEntry[] = []): Promise<AdaptationReport> =>
  adapter.adaptForRecoverySite({ diskPath, dataDisks: [], bootScripts: [], hosts, runId: 'run-1' });

export const goHome = (diskPath: string): Promise<AdaptationReport> => adapter.revertForPrimarySite(diskPath);
