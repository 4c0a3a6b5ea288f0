import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { type ChangePlan } from '../changes/change-plan';
import { ADMIN_UNITS, type Units } from '../units';
import { addressesIn, CLOUD_DRIVERS, MAX_TEXT_BYTES, plainName, WRITTEN_BY, type Device } from './card';
import { parseIni, valuesOf, type Sections } from './ini';

const DIRECTORY = '/etc/systemd/network';
/** Before the guest's own files: the first that matches a card wins. */
const NETWORK_FILE = `${DIRECTORY}/00-lifeboat.network`;
/** After all others, netplan's included: drop-ins are read in the order of their names, whatever their directory. */
const WAIT_DROP_IN = `${ADMIN_UNITS}/systemd-networkd-wait-online.service.d/zz-lifeboat.conf`;
const DAEMON = 'systemd-networkd';
const WAIT = 'systemd-networkd-wait-online';

interface NetworkdFile {
  path: string;
  sections: Sections;
  device: Device;
  /** Devices of software that it puts on the card that it matches. */
  carries: string[];
}

/** @returns the path of a program of systemd that the guest has */
async function program(files: GuestFiles, name: string): Promise<string | undefined> {
  for (const directory of ['/usr/lib/systemd', '/lib/systemd'])
    if ((await files.realpath(`${directory}/${name}`)) !== undefined) return `${directory}/${name}`;
  return undefined;
}

/** Why systemd-networkd cannot run in the guest; undefined where it can. */
export async function whyNoNetworkd(files: GuestFiles, units: Units): Promise<string | undefined> {
  if ((await program(files, DAEMON)) === undefined) return 'has no systemd-networkd';
  if (units.masked(`${DAEMON}.service`)) return 'masks systemd-networkd.service';
  return undefined;
}

export function isNetworkdEnabled(units: Units): boolean {
  return (
    units.enabled(`${DAEMON}.service`) ||
    (units.enabled(`${DAEMON}.socket`) && !units.masked(`${DAEMON}.service`))
  );
}

async function readFiles(files: GuestFiles): Promise<NetworkdFile[]> {
  const found: NetworkdFile[] = [];
  for (const name of await files.list(DIRECTORY)) {
    const path = `${DIRECTORY}/${name}`;
    if (!/\.(network|netdev)$/.test(name) || (await files.realpath(path)) === undefined) continue;
    let text = (await files.read(path, MAX_TEXT_BYTES)).toString('latin1');
    for (const dropIn of await files.list(`${path}.d`)) {
      if (dropIn.endsWith('.conf'))
        text += `\n${(await files.read(`${path}.d/${dropIn}`, MAX_TEXT_BYTES)).toString('latin1')}`;
    }
    found.push(describe(path, parseIni(text)));
  }
  return found;
}

function describe(path: string, sections: Sections): NetworkdFile {
  const isNetdev = path.endsWith('.netdev');
  const names = valuesOf(sections, isNetdev ? /^NetDev$/i : /^Match$/i, /^Name$/i).flatMap((value) =>
    value.split(/\s+/),
  );
  const kind = valuesOf(sections, /^NetDev$/i, /^Kind$/i).at(-1);
  const values = (key: RegExp) => valuesOf(sections, /^(Network|Address|Route)$/i, key);
  const carries = valuesOf(sections, /^Network$/i, /^(Bridge|Bond|VLAN|MACVLAN|IPVLAN|MACVTAP|IPVTAP|VRF)$/i)
    .flatMap((value) => value.split(/\s+/))
    .filter(Boolean);
  return {
    path,
    sections,
    carries,
    device: {
      where: path,
      kind: isNetdev
        ? ((/^(bridge|bond|vlan)$/.exec(kind ?? '')?.[1] as Device['kind'] | undefined) ?? 'other')
        : 'card',
      ...(names.length === 1 && plainName(names[0]) !== undefined ? { name: names[0] } : {}),
      addresses: addressesIn(values(/^Address$/i)),
      gateway: values(/^Gateway$/i).length > 0,
      over: [],
    },
  };
}

/** Whether systemd-networkd has files of a person's for cards, so that cards are its own. */
export async function networkdOwnsCards(files: GuestFiles): Promise<boolean> {
  return (await readFiles(files)).some((one) => one.path.endsWith('.network') && !onlySoftware(one));
}

/** DHCP by systemd-networkd for the recovery site's card. */
export async function addNetworkdFile(plan: ChangePlan): Promise<void> {
  await plan.add(NETWORK_FILE, NETWORK, 0o644);
}

/**
 * What gives the primary site's cards their addresses in systemd-networkd is set aside, with the devices that lie on them:
 * a bridge without its card would never be online, and everything that waits for the network would wait.
 */
export async function setAsideNetworkd(files: GuestFiles, plan: ChangePlan): Promise<Device[]> {
  const found = await readFiles(files);
  const made = new Map(
    found.filter((one) => one.path.endsWith('.netdev')).map((one) => [one.device.name, one] as const),
  );
  const lying = new Set<string>();
  const isOfSoftware = (one: NetworkdFile): boolean =>
    one.device.name === undefined ? onlySoftware(one) : made.has(one.device.name) || onlySoftware(one);
  for (let more = true; more;) {
    more = false;
    for (const one of found) {
      if (one.path.endsWith('.netdev')) continue;
      if (isOfSoftware(one) && !lying.has(one.device.name ?? '')) continue;
      for (const upper of one.carries)
        if (made.has(upper) && !lying.has(upper)) {
          lying.add(upper);
          more = true;
        }
    }
  }
  for (const one of found) {
    const { name, addresses, gateway } = one.device;
    const upper = name !== undefined && lying.has(name);
    const isStatic =
      addresses.length > 0 ||
      gateway ||
      valuesOf(one.sections, /^(Network|Address)$/i, /^(Address|Gateway)$/i).length > 0;
    const onCard = !one.path.endsWith('.netdev') && !isOfSoftware(one);
    if (upper || (onCard && (isStatic || one.carries.some((device) => lying.has(device)))))
      await plan.setAside(one.path);
    if (upper && one.path.endsWith('.netdev')) tellOfLying(plan, name, one.path);
  }
  return found.map(({ device }) => {
    const netdev = device.name === undefined ? undefined : made.get(device.name);
    const over = found.filter((one) => device.name !== undefined && one.carries.includes(device.name));
    return {
      ...device,
      kind: netdev?.device.kind ?? device.kind,
      over: over.flatMap((one) => one.device.name ?? []),
    };
  });
}

/** Says that a device that lies on the primary site's card has no place at the recovery site. */
export function tellOfLying(plan: ChangePlan, name: string, where: string): void {
  plan.warn(
    `${name} (${where}) lies on the primary site's network card; at the recovery site it is not made, the address is the card's own. ` +
      `What goes by the name ${name} does not work there.`,
  );
}

/** Has systemd-networkd run, and lets network-online.target be reached when the card has its address. */
export async function planNetworkdRuns(files: GuestFiles, plan: ChangePlan, units: Units): Promise<void> {
  const why = await whyNoNetworkd(files, units);
  if (why === 'has no systemd-networkd')
    throw new GuestNotAdaptableError(
      'The guest has none of systemd-networkd, NetworkManager and netplan, so nothing in it can ask EC2 for an address by DHCP.',
    );
  if (why !== undefined)
    throw new GuestNotAdaptableError(
      `The guest ${why}, which DHCP on EC2 needs. Unmask it (systemctl unmask systemd-networkd), or have NetworkManager configure the network.`,
    );
  if (!isNetworkdEnabled(units))
    await plan.link(
      `${ADMIN_UNITS}/multi-user.target.wants/${DAEMON}.service`,
      `/lib/systemd/system/${DAEMON}.service`,
    );
  // Boot scripts wait by themselves, and the guest's services do without at home as well.
  if (units.masked(`${WAIT}.service`)) return;
  if (!units.enabled(`${WAIT}.service`))
    await plan.link(
      `${ADMIN_UNITS}/network-online.target.wants/${WAIT}.service`,
      `/lib/systemd/system/${WAIT}.service`,
    );
  const wait = await program(files, WAIT);
  // Newer versions of netplan, and some guests, wait for cards by name, which are not there, or not at all.
  if (wait !== undefined)
    await plan.add(
      WAIT_DROP_IN,
      `${WRITTEN_BY}[Unit]\nConditionPathIsSymbolicLink=\n\n[Service]\nExecStart=\nExecStart=${wait}\n`,
      0o644,
    );
}

/** Whether a file is for devices that exist in software alone, by their usual names. */
function onlySoftware(one: NetworkdFile): boolean {
  const names = valuesOf(one.sections, /^Match$/i, /^Name$/i)
    .flatMap((value) => value.split(/\s+/))
    .filter(Boolean);
  return (
    names.length > 0 &&
    names.every((name) =>
      /^(lo$|dummy|br|docker|veth|wg|tun|tap|vxlan|virbr|bond|cali|flannel|cni)/.test(name),
    )
  );
}

/** IPv4 only, as a plan's addresses are; the guest keeps its own name. */
const NETWORK = `${WRITTEN_BY}[Match]
Driver=${CLOUD_DRIVERS.join(' ')}

[Network]
DHCP=ipv4
LinkLocalAddressing=no

[DHCPv4]
UseHostname=false
`;
