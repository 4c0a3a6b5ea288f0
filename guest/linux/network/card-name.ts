import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { CLOUD_DRIVERS, MAX_TEXT_BYTES, plainName, WRITTEN_BY, type Device } from './card';
import { cardNamesIn, filesNaming } from './files-naming-cards';
import { parseIni, valuesOf } from './ini';

/** Before all others, as the first .link file that matches is the only one that counts (systemd.link(5)). */
const LINK_FILE = '/etc/systemd/network/00-lifeboat.link';
const LINK_DIRECTORY = '/etc/systemd/network';
const RULES_DIRECTORY = '/etc/udev/rules.d';
/** As many as a sentence bears. */
const MAX_TOLD = 5;

/**
 * Gives the recovery site's card the name that the guest knows its card by: firewalls, routing daemons and scripts go by
 * it, far more of them than could be found and changed. Where the guest knows several cards, the one with the default
 * route; an instance has one. What cannot be kept, its other names and its addresses, is told. DHCP does not depend on it: where the card cannot be renamed it works all the same.
 */
export async function planCardName(
  files: GuestFiles,
  plan: ChangePlan,
  devices: Device[],
  addresses: string[],
): Promise<void> {
  await plan.setAsideAll(RULES_DIRECTORY, /persistent-net.*\.rules$/);
  const configured = cardNames(devices);
  const given = configured.length > 0 ? [] : await givenNames(files);
  const naming = await filesNaming(files);
  const names = configured.length > 0 ? configured : given.length > 0 ? given : cardNamesIn(naming);
  const main = configured.length > 0 ? mainCard(devices) : names.length === 1 ? names[0] : undefined;
  if (main !== undefined)
    await plan.add(
      LINK_FILE,
      `${WRITTEN_BY}[Match]\nDriver=${CLOUD_DRIVERS.join(' ')}\n\n[Link]\nName=${main}\n`,
      0o644,
    );
  for (const address of addresses.slice(0, MAX_TOLD)) {
    const where = naming.filter((file) => file.addresses.has(address)).map((file) => file.path);
    if (where.length > 0)
      plan.warn(
        `${listed(where)} of the guest ${where.length > 1 ? 'name' : 'names'} its address ${address}, which it does not have at the recovery site.`,
      );
  }
  const others = names.filter((name) => name !== main);
  for (const name of others.slice(0, 2 * MAX_TOLD)) {
    const where = naming.filter((file) => file.words.has(name)).map((file) => file.path);
    if (where.length > 0) plan.warn(sentence(name, main, where));
    else if (main === undefined)
      plan.warn(
        `The guest knows several network cards (${names.slice(0, MAX_TOLD).join(', ')}), and which one leads out cannot be told; at the recovery site its card gets another name.`,
      );
    else
      plan.warn(
        `The guest's network card ${name} is not there at the recovery site, where it has one card, which is called ${main}.`,
      );
  }
}

function sentence(name: string, main: string | undefined, where: string[]): string {
  return `${listed(where)} of the guest ${where.length > 1 ? 'go' : 'goes'} by the network card ${name}, which is not there at the recovery site: ${
    main === undefined ? 'the one card has another name there' : `the one card is called ${main}`
  }.`;
}

function listed(paths: string[]): string {
  return paths.slice(0, MAX_TOLD).join(', ') + (paths.length > MAX_TOLD ? ' and others' : '');
}

function cardNames(devices: Device[]): string[] {
  const made = new Set(devices.filter((one) => one.kind !== 'card').flatMap((one) => one.name ?? []));
  const names = devices.flatMap((one) => (one.kind === 'card' ? (one.name ?? []) : one.over));
  return [...new Set(names)].filter(
    (name) => !made.has(name) && plainName(name) !== undefined && name !== 'lo',
  );
}

/** The card that leads out of the primary site: the only one, or that with the default route on or above it. */
export function mainCard(devices: Device[]): string | undefined {
  const names = cardNames(devices);
  if (names.length <= 1) return names[0];
  const under = (device: Device, depth: number): string[] =>
    device.kind === 'card' || depth > 8
      ? [device.name ?? '']
      : device.over.flatMap((name) => {
          const lower = devices.find((one) => one.name === name && one !== device);
          return lower === undefined ? [name] : under(lower, depth + 1);
        });
  for (const leads of [(one: Device) => one.gateway, (one: Device) => one.addresses.length > 0]) {
    const found = new Set(devices.filter(leads).flatMap((one) => under(one, 0)));
    const inside = [...found].filter((name) => names.includes(name));
    if (inside.length === 1) return inside[0];
  }
  return undefined;
}

/** Names that .link files and udev rules give to cards. */
async function givenNames(files: GuestFiles): Promise<string[]> {
  const names = new Set<string>();
  for (const file of await files.list(LINK_DIRECTORY)) {
    if (!file.endsWith('.link') || (await files.realpath(`${LINK_DIRECTORY}/${file}`)) === undefined)
      continue;
    const text = (await files.read(`${LINK_DIRECTORY}/${file}`, MAX_TEXT_BYTES)).toString('latin1');
    const name = plainName(valuesOf(parseIni(text), /^Link$/i, /^Name$/i).at(-1));
    if (name !== undefined) names.add(name);
  }
  for (const file of await files.list(RULES_DIRECTORY)) {
    if (!file.endsWith('.rules') || (await files.stat(`${RULES_DIRECTORY}/${file}`))?.type !== 'file')
      continue;
    for (const line of (await files.read(`${RULES_DIRECTORY}/${file}`, MAX_TEXT_BYTES))
      .toString('latin1')
      .split('\n')) {
      const name =
        /^\s*#/.test(line) || !/"net"/.test(line)
          ? undefined
          : plainName(/\bNAME:?="([^"]*)"/.exec(line)?.[1]);
      if (name !== undefined) names.add(name);
    }
  }
  return [...names];
}
