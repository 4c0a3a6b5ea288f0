import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { type Units } from '../units';
import { type Device, type GuestNetwork } from './card';
import { planCardName } from './card-name';
import { isDhcpcdEnabled, planDhcpcd } from './dhcpcd';
import { isIfupdownEnabled, planIfupdown } from './ifupdown';
import { planNetplan, readNetplan, type Netplan } from './netplan';
import {
  isNetworkManagerEnabled,
  leavesCardsAlone,
  planHandsOff,
  planNetworkManager,
} from './network-manager';
import {
  addNetworkdFile,
  isNetworkdEnabled,
  networkdOwnsCards,
  planNetworkdRuns,
  setAsideNetworkd,
  whyNoNetworkd,
} from './networkd';
import { planResolver } from './resolver';
import { planSysconfig, sysconfigReader, type SysconfigReader } from './sysconfig';

type Manager = 'systemd-networkd' | 'NetworkManager' | 'dhcpcd' | SysconfigReader;

/**
 * DHCP on the recovery site's card, by what configures the guest's network: not by what has files there, but by what will be
 * started. What the guest has for the primary site is set aside. Where the guest uses ifupdown, systemd-networkd takes the
 * card: a server with a static address often has no DHCP client, and ifupdown must be told a card's name.
 * @returns what the guest's network was at the primary site
 */
export async function planNetwork(files: GuestFiles, plan: ChangePlan, units: Units): Promise<GuestNetwork> {
  const netplan = await readNetplan(files);
  const manager = await whoTakesTheCard(files, units, netplan);
  const devices: Device[] = netplan?.devices ?? [];
  devices.push(...(await planIfupdown(files, plan, isIfupdownEnabled(units))));
  // It runs beside another as well, and what it has for a card's name would count there.
  if (isDhcpcdEnabled(units)) devices.push(...(await planDhcpcd(files, plan)));
  if (netplan !== undefined)
    await planNetplan(plan, netplan, manager === 'NetworkManager' ? manager : 'networkd');
  switch (manager) {
    case 'NetworkManager':
      devices.push(...(await planNetworkManager(files, plan, units)));
      break;
    case 'systemd-networkd':
      devices.push(...(await setAsideNetworkd(files, plan)));
      if (netplan === undefined) {
        await addNetworkdFile(plan);
        if (isNetworkManagerEnabled(units)) await planHandsOff(plan);
      }
      await planNetworkdRuns(files, plan, units);
      break;
    case 'dhcpcd':
      break;
    default:
      devices.push(...(await planSysconfig(files, plan, manager)));
  }
  const addresses = [...new Set(devices.flatMap((one) => one.addresses))];
  await planCardName(files, plan, devices, addresses);
  await planResolver(files, plan, units, manager === 'NetworkManager');
  return { addresses };
}

async function whoTakesTheCard(
  files: GuestFiles,
  units: Units,
  netplan: Netplan | undefined,
): Promise<Manager> {
  const networkManager = isNetworkManagerEnabled(units);
  if (netplan !== undefined) {
    const wantsNetworkManager =
      netplan.renderer === 'NetworkManager' || (await whyNoNetworkd(files, units)) !== undefined;
    return wantsNetworkManager && networkManager ? 'NetworkManager' : 'systemd-networkd';
  }
  const reader = sysconfigReader(units);
  if (reader === 'wicked') return reader;
  if (networkManager) {
    const others = isNetworkdEnabled(units) && (await networkdOwnsCards(files));
    const canNetworkd = (await whyNoNetworkd(files, units)) === undefined;
    if (!others && !(canNetworkd && (await leavesCardsAlone(files)))) return 'NetworkManager';
    if (canNetworkd) return 'systemd-networkd';
    return 'NetworkManager';
  }
  if (isNetworkdEnabled(units)) return 'systemd-networkd';
  if (reader !== undefined) return reader;
  if (isDhcpcdEnabled(units)) return 'dhcpcd';
  return 'systemd-networkd';
}
