import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { setAside } from '../changes/marked-text';
import { type Units } from '../units';
import { addressesIn, MAX_TEXT_BYTES, plainName, type Device } from './card';

const CONFIGURATION = '/etc/dhcpcd.conf';

export function isDhcpcdEnabled(units: Units): boolean {
  return units.enabled('dhcpcd.service') || units.enabledInstance('dhcpcd@');
}

/** DHCP by dhcpcd, which asks on every card that it has nothing static for. */
export async function planDhcpcd(files: GuestFiles, plan: ChangePlan): Promise<Device[]> {
  if ((await files.realpath(CONFIGURATION)) === undefined) return [];
  const text = (await files.read(CONFIGURATION, MAX_TEXT_BYTES)).toString('latin1');
  await plan.edit(CONFIGURATION, (one) => setAside(one, isForPrimarySite));
  const devices: Device[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line.trim().split(/\s+|=/);
    const name = keyword === 'interface' ? plainName(words[0]) : undefined;
    if (name !== undefined)
      devices.push({ where: CONFIGURATION, kind: 'card', name, addresses: [], gateway: false, over: [] });
    const current = devices.at(-1);
    if (current === undefined || keyword !== 'static') continue;
    if (words[0] === 'ip_address') current.addresses.push(...addressesIn(words.slice(1)));
    if (words[0] === 'routers') current.gateway = true;
  }
  return devices;
}

/** Static values, and cards that dhcpcd shall leave alone or have alone. */
function isForPrimarySite(line: string): boolean {
  return /^\s*(static|inform6?|nodhcp|noipv4|allowinterfaces|denyinterfaces)\b/.test(line);
}
