import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { type ChangePlan } from '../changes/change-plan';
import { setAside } from '../changes/marked-text';
import { type Units } from '../units';
import { WRITTEN_BY, type Device } from './card';
import { mainCard } from './card-name';
import { RED_HAT_DIRECTORY, readIfcfg, SUSE_DIRECTORY } from './ifcfg';
import { tellOfLying } from './networkd';

/** What reads ifcfg files by itself, without NetworkManager: both know cards by their names only. */
export type SysconfigReader = 'wicked' | 'network-scripts';

export function sysconfigReader(units: Units): SysconfigReader | undefined {
  if (units.enabled('wicked.service') || units.enabled('wickedd.service')) return 'wicked';
  return units.enabled('network.service') ? 'network-scripts' : undefined;
}

/**
 * DHCP by what reads ifcfg files, on a card that keeps its name ({@link mainCard}).
 * @throws GuestNotAdaptableError where which card that is cannot be told
 */
export async function planSysconfig(
  files: GuestFiles,
  plan: ChangePlan,
  reader: SysconfigReader,
): Promise<Device[]> {
  const directory = reader === 'wicked' ? SUSE_DIRECTORY : RED_HAT_DIRECTORY;
  const found = await readIfcfg(files, directory);
  const devices = found.map((one) => ({
    ...one.device,
    over: [
      ...one.device.over,
      ...found
        .filter((part) => part.upper !== undefined && part.upper === one.device.name)
        .flatMap((part) => part.device.name ?? []),
    ],
  }));
  const main = mainCard(devices);
  if (main === undefined)
    throw new GuestNotAdaptableError(
      `The guest's network is configured by ${reader}, which goes by the names of network cards, and which card of ${directory} leads ` +
        'out of the data centre cannot be told. Give one of them the default route (GATEWAY), or have NetworkManager configure the network.',
    );
  for (const [index, { path, device, isStatic }] of found.entries()) {
    const over = devices[index]?.over ?? [];
    if (device.kind !== 'card' && over.length > 0) {
      await plan.setAside(path);
      if (device.name !== undefined) tellOfLying(plan, device.name, path);
    } else if (isStatic && device.name !== main) await plan.setAside(path);
  }
  // SUSE has the default route in a file of its own, Red Hat has it for all cards together.
  await plan.setAsideAll(directory, new RegExp(`^(if)?route6?-(${escaped(main)})$|^routes$`));
  if (reader === 'network-scripts')
    await plan.edit('/etc/sysconfig/network', (text) =>
      setAside(text, (line) => /^\s*GATEWAY(DEV)?=/.test(line)),
    );
  const path = `${directory}/ifcfg-${main}`;
  const text = reader === 'wicked' ? wickedFile() : networkScriptsFile(main);
  if ((await files.realpath(path)) === undefined) await plan.add(path, text, 0o600);
  else await plan.edit(path, () => text);
  for (const other of found)
    if (other.device.name === main && other.path !== path) await plan.setAside(other.path);
  return devices;
}

function escaped(name: string): string {
  return name.replaceAll('.', '\\.');
}

function wickedFile(): string {
  return `${WRITTEN_BY}STARTMODE='auto'\nBOOTPROTO='dhcp4'\nDHCLIENT_SET_HOSTNAME='no'\n`;
}

function networkScriptsFile(name: string): string {
  return `${WRITTEN_BY}TYPE=Ethernet\nDEVICE=${name}\nONBOOT=yes\nBOOTPROTO=dhcp\nIPV6INIT=no\n`;
}
