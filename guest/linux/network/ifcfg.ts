import { type GuestFiles } from '../../files/port';
import { addressesIn, MAX_TEXT_BYTES, plainName, type Device } from './card';
import { shellVariables } from './shell-variables';

/** Red Hat's network-scripts and NetworkManager's ifcfg-rh plugin; SUSE's wicked. */
export const RED_HAT_DIRECTORY = '/etc/sysconfig/network-scripts';
export const SUSE_DIRECTORY = '/etc/sysconfig/network';

export interface Ifcfg {
  path: string;
  device: Device;
  values: Map<string, string>;
  /** Whether it stands for a card, with an address that it has from nobody, or as a part of another device. */
  isStatic: boolean;
  /** A bridge, bond or team that it is a part of. */
  upper?: string;
}

/** The cards and other devices of a directory of ifcfg files; the loopback is none. */
export async function readIfcfg(files: GuestFiles, directory: string): Promise<Ifcfg[]> {
  const found: Ifcfg[] = [];
  for (const file of await files.list(directory)) {
    const suffix = /^ifcfg-(.+)$/.exec(file)?.[1];
    // Copies that the readers themselves pass over.
    if (
      suffix === undefined ||
      suffix === 'lo' ||
      /(~|\.(bak|orig|rpmnew|rpmorig|rpmsave|old))$/.test(suffix)
    )
      continue;
    const path = `${directory}/${file}`;
    if ((await files.realpath(path)) === undefined) continue;
    found.push(describe(path, suffix, (await files.read(path, MAX_TEXT_BYTES)).toString('latin1')));
  }
  return found;
}

function describe(path: string, suffix: string, text: string): Ifcfg {
  const values = shellVariables(text);
  const value = (key: string) => values.get(key)?.trim() ?? '';
  const name = plainName(value('DEVICE') || suffix);
  const upper = plainName(value('BRIDGE') || value('MASTER') || value('TEAM_MASTER'));
  const over = [
    ...[...values]
      .filter(([key]) => /^(BONDING_SLAVE_?\d*|TEAM_PORT_DEVICE_?\d*)$/.test(key))
      .map(([, one]) => one),
    ...value('BRIDGE_PORTS').split(/\s+/),
    value('ETHERDEVICE'),
    value('PHYSDEV'),
    ...(/^yes$/i.test(value('VLAN')) || value('ETHERDEVICE') !== '' ? [name?.split('.')[0] ?? ''] : []),
  ].filter((one) => one !== '' && one !== name);
  const kind = kindOf(value, name ?? suffix);
  const addresses = addressesIn(
    [...values].filter(([key]) => /^(IPADDR|IPV6ADDR)\w*$/.test(key)).flatMap(([, one]) => one.split(/\s+/)),
  );
  return {
    path,
    values,
    device: {
      where: path,
      kind,
      ...(name === undefined ? {} : { name }),
      addresses,
      gateway: [...values.keys()].some((key) => /^GATEWAY\d*$/.test(key)) || /^yes$/i.test(value('DEFROUTE')),
      over,
    },
    isStatic:
      kind === 'card' && (addresses.length > 0 || upper !== undefined || !/dhcp/i.test(value('BOOTPROTO'))),
    ...(upper === undefined ? {} : { upper }),
  };
}

function kindOf(value: (key: string) => string, name: string): Device['kind'] {
  const type = value('TYPE').toLowerCase();
  if (type === 'bridge' || /^yes$/i.test(value('BRIDGE'))) return 'bridge';
  if (
    type === 'bond' ||
    type === 'team' ||
    value('BONDING_OPTS') !== '' ||
    /^yes$/i.test(value('BONDING_MASTER'))
  )
    return 'bond';
  if (type === 'vlan' || /^yes$/i.test(value('VLAN')) || value('ETHERDEVICE') !== '') return 'vlan';
  if (type !== '' && type !== 'ethernet') return 'other';
  if (/^(tun|tap|wg|dummy|virbr|docker|ib)\d*/.test(name)) return 'other';
  return 'card';
}
