import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { type ChangePlan } from './change-plan';
import { setAside, withBlock } from './marked-text';

/** Drivers of network cards at the recovery site: EC2's, and the one that stands in for it under QEMU. */
const CLOUD_DRIVERS = ['ena', 'virtio_net'];

/** Before the guest's own files: the first that matches a card wins. */
const NETWORKD_FILE = '/etc/systemd/network/00-lifeboat.network';
const NETPLAN_FILE = '/etc/netplan/90-lifeboat.yaml';
const KEYFILE = '/etc/NetworkManager/system-connections/lifeboat.nmconnection';
const SYSTEM_UNITS = '/etc/systemd/system';
const MAX_TEXT_BYTES = 1024 * 1024;

/** Amazon's DNS server, at this address in every VPC ("Amazon DNS server" in the VPC User Guide). */
const AMAZON_DNS_SERVER = '169.254.169.253';

/**
 * DHCP on the recovery site's card, by whatever the guest configures its network with; what it has for the primary
 * site is set aside. Where the guest uses ifupdown, systemd-networkd takes the cloud card: a server with a static
 * address often has no DHCP client, and ifupdown must be told a card's name.
 */
export async function planNetwork(files: GuestFiles, plan: ChangePlan): Promise<void> {
  await plan.setAsideAll('/etc/udev/rules.d', /persistent-net.*\.rules$/);
  await plan.edit('/etc/resolv.conf', resolvConfForRecoverySite);
  await planIfupdown(files, plan);

  const netplan = (await files.list('/etc/netplan')).filter((name) => name.endsWith('.yaml'));
  if (netplan.length > 0) {
    const texts = await Promise.all(
      netplan.map((name) => files.read(`/etc/netplan/${name}`, MAX_TEXT_BYTES)),
    );
    const renderer = texts.some((text) => /renderer:\s*["']?NetworkManager/.test(text.toString('latin1')));
    await plan.setAsideAll('/etc/netplan', /\.yaml$/);
    await plan.add(NETPLAN_FILE, netplanFile(renderer ? 'NetworkManager' : 'networkd'), 0o600);
  } else if (await isEnabled(files, 'NetworkManager.service')) {
    for (const name of await files.list('/etc/NetworkManager/system-connections')) {
      const path = `/etc/NetworkManager/system-connections/${name}`;
      if ((await files.stat(path))?.type !== 'file') continue;
      if (isStaticEthernetKeyfile((await files.read(path, MAX_TEXT_BYTES)).toString('latin1')))
        await plan.setAside(path);
    }
    await plan.add(KEYFILE, NETWORK_MANAGER_FILE, 0o600);
  } else {
    await planNetworkd(files, plan);
  }
}

async function planNetworkd(files: GuestFiles, plan: ChangePlan): Promise<void> {
  if (
    (await files.realpath('/usr/lib/systemd/systemd-networkd')) === undefined &&
    (await files.realpath('/lib/systemd/systemd-networkd')) === undefined
  ) {
    throw new GuestNotAdaptableError(
      'The guest has none of systemd-networkd, NetworkManager and netplan, so nothing in it can ask EC2 for an address by DHCP.',
    );
  }
  for (const name of await files.list('/etc/systemd/network')) {
    const path = `/etc/systemd/network/${name}`;
    if (!name.endsWith('.network') || (await files.stat(path))?.type !== 'file') continue;
    if (isStaticNetworkdFile((await files.read(path, MAX_TEXT_BYTES)).toString('latin1')))
      await plan.setAside(path);
  }
  await plan.add(NETWORKD_FILE, NETWORKD_NETWORK, 0o644);
  if (await isEnabled(files, 'systemd-networkd.service')) return;
  for (const [wants, unit] of [
    ['multi-user.target.wants', 'systemd-networkd.service'],
    ['network-online.target.wants', 'systemd-networkd-wait-online.service'],
  ] as const) {
    if (await isMasked(files, unit))
      throw new GuestNotAdaptableError(`The guest masks ${unit}, which DHCP on EC2 needs. Unmask it.`);
    await plan.link(`${SYSTEM_UNITS}/${wants}/${unit}`, `/lib/systemd/system/${unit}`);
  }
}

async function planIfupdown(files: GuestFiles, plan: ChangePlan): Promise<void> {
  await plan.edit('/etc/network/interfaces', interfacesForRecoverySite);
  for (const name of await files.list('/etc/network/interfaces.d')) {
    await plan.edit(`/etc/network/interfaces.d/${name}`, interfacesForRecoverySite);
  }
}

/** Without all cards but the loopback. */
export function interfacesForRecoverySite(text: string): string {
  const loopback: string[] = [];
  let aside = false;
  const kept = setAside(text, (line) => {
    const [keyword, ...names] = line.trim().split(/\s+/);
    if (!keyword || keyword.startsWith('#')) return false;
    if (keyword === 'iface' || keyword === 'mapping') aside = names[0] !== 'lo';
    else if (keyword === 'auto' || keyword.startsWith('allow-')) {
      aside = names.some((name) => name !== 'lo');
      if (aside && names.includes('lo')) loopback.push(`${keyword} lo`);
    } else if (/^(source|source-directory|no-auto-down|no-scripts|rename)$/.test(keyword)) aside = false;
    return aside;
  });
  return kept === text ? text : withBlock(kept, loopback);
}

/** The data centre's name servers are not there. */
export function resolvConfForRecoverySite(text: string): string {
  const kept = setAside(text, (line) => /^\s*nameserver\s+(?!127\.)/.test(line));
  return kept === text ? text : withBlock(kept, [`nameserver ${AMAZON_DNS_SERVER}`]);
}

/** A static address, and not only for cards that exist in software. */
function isStaticNetworkdFile(text: string): boolean {
  if (!/^\s*(Address|Gateway)\s*=/im.test(text)) return false;
  const names = /^\s*Name\s*=\s*(.*)$/im.exec(text)?.[1]?.trim().split(/\s+/);
  return (
    names === undefined ||
    !names.every((name) => /^(lo$|dummy|br|docker|veth|wg|tun|tap|vxlan|virbr|bond)/.test(name))
  );
}

function isStaticEthernetKeyfile(text: string): boolean {
  return (
    /^\s*type\s*=\s*(ethernet|802-3-ethernet)\s*$/m.test(text) && /^\s*method\s*=\s*manual\s*$/m.test(text)
  );
}

async function isEnabled(files: GuestFiles, unit: string): Promise<boolean> {
  return (await files.stat(`${SYSTEM_UNITS}/multi-user.target.wants/${unit}`)) !== undefined;
}

async function isMasked(files: GuestFiles, unit: string): Promise<boolean> {
  const path = `${SYSTEM_UNITS}/${unit}`;
  return (await files.stat(path))?.type === 'symlink' && (await files.readlink(path)) === '/dev/null';
}

/** IPv4 only, as a plan's addresses are; the guest keeps its own name. */
const NETWORKD_NETWORK = `# Written by Lifeboat for the recovery site; removed on the way home.
[Match]
Driver=${CLOUD_DRIVERS.join(' ')}

[Network]
DHCP=ipv4
LinkLocalAddressing=no

[DHCPv4]
UseHostname=false
`;

function netplanFile(renderer: string): string {
  // One entry a driver: older versions of netplan take no list there.
  const cards = CLOUD_DRIVERS.map(
    (driver) =>
      `    lifeboat-${driver.replace('_', '-')}:\n      match:\n        driver: ${driver}\n      dhcp4: true\n      optional: true\n`,
  );
  return `# Written by Lifeboat for the recovery site; removed on the way home.
network:
  version: 2
  renderer: ${renderer}
  ethernets:
${cards.join('')}`;
}

const NETWORK_MANAGER_FILE = `# Written by Lifeboat for the recovery site; removed on the way home.
[connection]
id=lifeboat
type=ethernet
autoconnect=true
autoconnect-priority=100

[match]
driver=${CLOUD_DRIVERS.join(';')};

[ipv4]
method=auto

[ipv6]
method=disabled
`;
