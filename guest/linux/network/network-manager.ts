import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { ADMIN_UNITS, type Units } from '../units';
import { addressesIn, CLOUD_DRIVERS, MAX_TEXT_BYTES, plainName, WRITTEN_BY, type Device } from './card';
import { RED_HAT_DIRECTORY, readIfcfg } from './ifcfg';
import { parseIni, valuesOf, type Sections } from './ini';
import { tellOfLying } from './networkd';

const CONNECTIONS = '/etc/NetworkManager/system-connections';
const KEYFILE = `${CONNECTIONS}/lifeboat.nmconnection`;
const UNMANAGED = '/etc/NetworkManager/conf.d/zz-lifeboat.conf';
const UNIT = 'NetworkManager.service';
const WAIT = 'NetworkManager-wait-online.service';

interface Profile {
  path: string;
  device: Device;
  uuid?: string;
  id?: string;
  /** Name or UUID of the profile or device that it is a part of, or lies on. */
  parent: string[];
  isStatic: boolean;
  zone?: string;
}

export function isNetworkManagerEnabled(units: Units): boolean {
  return units.enabled(UNIT) || units.enabled('network-manager.service');
}

/** Whether the guest's configuration keeps NetworkManager from the cards that it had. */
export async function leavesCardsAlone(files: GuestFiles): Promise<boolean> {
  const paths = ['/etc/NetworkManager/NetworkManager.conf'];
  for (const directory of ['/usr/lib/NetworkManager/conf.d', '/etc/NetworkManager/conf.d'])
    for (const name of await files.list(directory))
      if (name.endsWith('.conf')) paths.push(`${directory}/${name}`);
  const shadowed = new Set(
    (await files.list('/etc/NetworkManager/conf.d')).map((name) => `/usr/lib/NetworkManager/conf.d/${name}`),
  );
  let leaves = false;
  for (const path of paths) {
    if (shadowed.has(path) || (await files.realpath(path)) === undefined) continue;
    const sections = parseIni((await files.read(path, MAX_TEXT_BYTES)).toString('latin1'));
    for (const value of valuesOf(sections, /^keyfile$/, /^unmanaged-devices\+?$/)) {
      const specs = value.split(/[;,]/).map((one) => one.trim());
      // `*` with exceptions, or all of a type, or by a name that a card has.
      const excepted = specs.some((one) => /^except:type:ethernet$/.test(one));
      if (
        !excepted &&
        specs.some((one) => /^(\*|interface-name:\*|type:ethernet|interface-name:=?e[a-z0-9*]*)$/.test(one))
      )
        leaves = true;
    }
  }
  return leaves;
}

async function readProfiles(files: GuestFiles): Promise<Profile[]> {
  const found: Profile[] = [];
  for (const name of await files.list(CONNECTIONS)) {
    const path = `${CONNECTIONS}/${name}`;
    const real = await files.realpath(path);
    // Hidden and backup files are none of NetworkManager's.
    if (/^\.|~$/.test(name) || real === undefined || (await files.stat(real))?.type !== 'file') continue;
    found.push(describe(path, parseIni((await files.read(path, MAX_TEXT_BYTES)).toString('latin1'))));
  }
  for (const { path, device, isStatic, upper, values } of await readIfcfg(files, RED_HAT_DIRECTORY))
    found.push({
      path,
      device,
      isStatic,
      parent: upper === undefined ? [] : [upper],
      ...(values.get('UUID') === undefined ? {} : { uuid: values.get('UUID') }),
      ...(values.get('NAME') === undefined ? {} : { id: values.get('NAME') }),
      ...(values.get('ZONE') ? { zone: values.get('ZONE') } : {}),
    });
  return found;
}

function describe(path: string, sections: Sections): Profile {
  const connection = (key: RegExp) => valuesOf(sections, /^connection$/, key).at(-1);
  const type = connection(/^type$/) ?? '';
  const ip = (key: RegExp) => valuesOf(sections, /^ipv[46]$/, key);
  const name = plainName(connection(/^interface-name$/));
  const parent = [connection(/^(controller|master)$/), ...valuesOf(sections, /^vlan$/, /^parent$/)].flatMap(
    (one) => one ?? [],
  );
  const isCard = /^(ethernet|802-3-ethernet)$/.test(type);
  const zone = connection(/^zone$/);
  const uuid = connection(/^uuid$/);
  const id = connection(/^id$/);
  return {
    path,
    parent,
    ...(uuid === undefined ? {} : { uuid }),
    ...(id === undefined ? {} : { id }),
    ...(zone ? { zone } : {}),
    isStatic:
      isCard && (ip(/^method$/).includes('manual') || connection(/^(controller|master)$/) !== undefined),
    device: {
      where: path,
      kind: isCard
        ? 'card'
        : /^team$/.test(type)
          ? 'bond'
          : ((/^(bridge|bond|vlan)$/.exec(type)?.[1] as Device['kind'] | undefined) ?? 'other'),
      ...(name === undefined ? {} : { name }),
      addresses: addressesIn(ip(/^address(es)?\d*$/).flatMap((value) => value.split(/[,;]/))),
      gateway: ip(/^address\d*$/).some((value) => value.includes(',')) || ip(/^gateway$/).length > 0,
      over: type === 'vlan' ? parent.flatMap((one) => plainName(one) ?? []) : [],
    },
  };
}

/** DHCP by NetworkManager; the primary site's profiles for cards, and for what lies on them, are set aside. */
export async function planNetworkManager(
  files: GuestFiles,
  plan: ChangePlan,
  units: Units,
): Promise<Device[]> {
  const profiles = await readProfiles(files);
  const cards = profiles.filter((one) => one.device.kind === 'card');
  const keys = (one: Profile) => [one.uuid, one.id, one.device.name].flatMap((key) => key ?? []);
  const aside = new Set(cards.filter((one) => one.isStatic));
  // A part of a bridge or bond takes the card that it finds: the whole of it has to go, from whichever end it is named.
  for (let size = -1; size !== aside.size;) {
    size = aside.size;
    for (const one of profiles) {
      if (one.device.kind === 'other' && one.parent.length === 0) continue;
      const isUpper = profiles.some(
        (part) => aside.has(part) && part.parent.some((parent) => keys(one).includes(parent)),
      );
      const liesOn =
        one.device.kind !== 'card' &&
        one.parent.some(
          (parent) =>
            cards.some((card) => keys(card).includes(parent)) ||
            [...aside].some((part) => keys(part).includes(parent)),
        );
      if (isUpper || liesOn || (one.device.kind === 'vlan' && one.device.over.length > 0)) aside.add(one);
    }
  }
  for (const one of aside) {
    await plan.setAside(one.path);
    if (one.device.kind !== 'card') tellOfLying(plan, one.device.name ?? one.id ?? one.path, one.path);
  }
  const main = [...aside].find((one) => one.device.gateway) ?? cards.find((one) => one.zone !== undefined);
  await plan.add(KEYFILE, keyfile(main?.zone), 0o600);
  await planHandsOn(files, plan);
  if (!units.masked(WAIT) && !units.enabled(WAIT) && units.exists(WAIT))
    await plan.link(`${ADMIN_UNITS}/network-online.target.wants/${WAIT}`, `/lib/systemd/system/${WAIT}`);
  return profiles.map((one) => ({
    ...one.device,
    over: [
      ...one.device.over,
      ...profiles
        .filter((part) => part.parent.some((parent) => keys(one).includes(parent)))
        .flatMap((part) => part.device.name ?? []),
    ],
  }));
}

/** Keeps a NetworkManager that runs beside systemd-networkd from taking the card, too. */
export async function planHandsOff(plan: ChangePlan): Promise<void> {
  await addUnmanaged(plan, '');
}

/** `except:` lets NetworkManager have the card although the guest keeps it from all others ("Device List Format"). */
async function planHandsOn(files: GuestFiles, plan: ChangePlan): Promise<void> {
  if (await leavesCardsAlone(files)) await addUnmanaged(plan, 'except:');
}

async function addUnmanaged(plan: ChangePlan, prefix: string): Promise<void> {
  const specs = CLOUD_DRIVERS.map((driver) => `${prefix}driver:${driver}`).join(';');
  await plan.add(UNMANAGED, `${WRITTEN_BY}[keyfile]\nunmanaged-devices+=${specs}\n`, 0o644);
}

/** The zone of firewalld goes with the connection, so it stays that of the primary site's. */
function keyfile(zone: string | undefined): string {
  const known = zone !== undefined && /^[A-Za-z0-9_/-]{1,30}$/.test(zone) ? `zone=${zone}\n` : '';
  return `${WRITTEN_BY}[connection]
id=lifeboat
type=ethernet
autoconnect=true
autoconnect-priority=100
${known}
[match]
driver=${CLOUD_DRIVERS.join(';')};

[ethernet]
cloned-mac-address=permanent

[ipv4]
method=auto

[ipv6]
method=disabled
`;
}
