import { parse, stringify } from 'yaml';
import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { addressesIn, CLOUD_DRIVERS, MAX_TEXT_BYTES, plainName, WRITTEN_BY, type Device } from './card';
import { tellOfLying } from './networkd';

const DIRECTORY = '/etc/netplan';
/** A file here counts unless /etc/netplan has one of the same name (netplan(5)). */
const VENDOR_DIRECTORIES = ['/lib/netplan', '/usr/lib/netplan'];
const NETPLAN_FILE = `${DIRECTORY}/90-lifeboat.yaml`;
const GENERATORS = [
  '/usr/lib/systemd/system-generators/netplan',
  '/lib/systemd/system-generators/netplan',
  '/usr/libexec/netplan/generate',
  '/lib/netplan/generate',
];
const GENERATOR_MASK = '/etc/systemd/system-generators/netplan';
/** Types of devices that stand for a card, or lie on one where they name one. */
const ON_CARDS = new Set(['ethernets', 'bonds', 'bridges', 'vlans', 'vrfs']);
const NOT_DEVICES = new Set(['version', 'renderer', 'openvswitch']);

export type Renderer = 'networkd' | 'NetworkManager';

/** What netplan would make of the guest's YAML. */
export interface Netplan {
  renderer: Renderer;
  devices: Device[];
  /** Files that define devices; those of a vendor as well. */
  paths: string[];
  /** Definitions that need none of the primary site's cards, by type and then by name. */
  kept: Mapping;
  /** A file that cannot be read as YAML: netplan would refuse it, too. */
  unreadable?: string;
}

type Mapping = Record<string, unknown>;

/** A key that would reach beyond its mapping in this program. */
const UNSAFE = /^(__proto__|constructor|prototype)$/;

/** @returns undefined where netplan does not act: its generator is gone or masked, or there is no YAML */
export async function readNetplan(files: GuestFiles): Promise<Netplan | undefined> {
  if ((await files.stat(GENERATOR_MASK)) !== undefined) return undefined;
  let acts = false;
  for (const path of GENERATORS) acts ||= (await files.realpath(path)) !== undefined;
  if (!acts) return undefined;
  const paths = await yamlFiles(files);
  if (paths.length === 0) return undefined;
  const merged: Mapping = {};
  let unreadable: string | undefined;
  const defining: string[] = [];
  for (const path of paths) {
    const network = networkOf((await files.read(path, MAX_TEXT_BYTES)).toString('utf8'));
    if (network === undefined) unreadable ??= path;
    else merge(merged, network);
    if (path.startsWith(DIRECTORY) || Object.keys(network ?? {}).some((key) => !NOT_DEVICES.has(key)))
      defining.push(path);
  }
  const devices = devicesOf(merged, defining.join(', '));
  return {
    renderer: rendererOf(merged, devices),
    devices,
    paths: defining,
    kept: keptOf(merged),
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

/**
 * DHCP by netplan for systemd-networkd; for NetworkManager only that it may have the card, as netplan has no way to
 * name NetworkManager a card by its driver. Definitions that need no card of the primary site stay.
 */
export async function planNetplan(plan: ChangePlan, netplan: Netplan, renderer: Renderer): Promise<void> {
  for (const path of netplan.paths) {
    if (path.startsWith(`${DIRECTORY}/`)) await plan.setAside(path);
    else
      await plan.add(
        `${DIRECTORY}/${path.slice(path.lastIndexOf('/') + 1)}`,
        `${WRITTEN_BY}network:\n  version: 2\n`,
        0o600,
      );
  }
  if (netplan.unreadable !== undefined)
    plan.warn(
      `${netplan.unreadable} is no YAML that netplan would take; all of the guest's netplan files are set aside for the recovery site.`,
    );
  for (const device of netplan.devices)
    if (device.kind !== 'card' && device.name !== undefined && device.over.length > 0)
      tellOfLying(plan, device.name, device.where);
  const text = stringify({ network: { version: 2, renderer, ...cardsFor(renderer), ...netplan.kept } });
  await plan.add(NETPLAN_FILE, `${WRITTEN_BY}${text}`, 0o600);
}

/** Not optional: what is, network-online.target does not wait for. */
function cardsFor(renderer: Renderer): Mapping {
  if (renderer === 'NetworkManager') return {};
  // One entry a driver: older versions of netplan take no list there.
  const ethernets = CLOUD_DRIVERS.map((driver) => [
    `lifeboat-${driver.replace('_', '-')}`,
    { match: { driver }, dhcp4: true, 'dhcp4-overrides': { 'use-hostname': false }, 'link-local': [] },
  ]);
  return { ethernets: Object.fromEntries(ethernets) as Mapping };
}

async function yamlFiles(files: GuestFiles): Promise<string[]> {
  const byName = new Map<string, string>();
  for (const directory of [DIRECTORY, ...VENDOR_DIRECTORIES]) {
    for (const name of await files.list(directory)) {
      const path = `${directory}/${name}`;
      if (name.endsWith('.yaml') && !byName.has(name) && (await files.realpath(path)) !== undefined)
        byName.set(name, path);
    }
  }
  return [...byName.keys()].sort().map((name) => byName.get(name) ?? '');
}

function networkOf(text: string): Mapping | undefined {
  try {
    const document: unknown = parse(text, { logLevel: 'silent' });
    if (document === null) return {};
    if (!isMapping(document)) return undefined;
    const network = document.network ?? {};
    return isMapping(network) ? network : undefined;
  } catch {
    // Told by the caller, who knows the file.
    return undefined;
  }
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Later files add to earlier ones, as netplan does it: mappings key by key, lists one after the other. */
function merge(into: Mapping, from: Mapping, depth = 0): void {
  for (const [key, value] of Object.entries(from)) {
    if (UNSAFE.test(key)) continue;
    const there = into[key];
    if (isMapping(there) && isMapping(value) && depth < 8) merge(there, value, depth + 1);
    else if (Array.isArray(there) && Array.isArray(value))
      into[key] = [...(there as unknown[]), ...(value as unknown[])];
    else into[key] = value;
  }
}

function definitions(network: Mapping): { type: string; id: string; settings: Mapping }[] {
  return Object.entries(network).flatMap(([type, group]) =>
    NOT_DEVICES.has(type) || UNSAFE.test(type) || !isMapping(group)
      ? []
      : Object.entries(group).flatMap(([id, settings]) =>
          isMapping(settings) && !UNSAFE.test(id) ? [{ type, id, settings }] : [],
        ),
  );
}

function devicesOf(network: Mapping, where: string): Device[] {
  return definitions(network).flatMap(({ type, id, settings }) => {
    if (!ON_CARDS.has(type)) return [];
    const match = isMapping(settings.match) ? settings.match : undefined;
    const name = plainName(text(settings['set-name']) ?? (match === undefined ? id : text(match.name)));
    const routes = list(settings.routes).filter(isMapping);
    return [
      {
        where,
        kind:
          type === 'ethernets'
            ? 'card'
            : type === 'bonds'
              ? 'bond'
              : type === 'bridges'
                ? 'bridge'
                : type === 'vlans'
                  ? 'vlan'
                  : 'other',
        ...(name === undefined ? {} : { name }),
        addresses: addressesIn(
          list(settings.addresses).flatMap((one) => (isMapping(one) ? Object.keys(one) : (text(one) ?? []))),
        ),
        gateway:
          settings.gateway4 !== undefined ||
          routes.some((route) => /^(default|0\.0\.0\.0\/0|0\/0)$/.test(text(route.to) ?? '')),
        over: references(settings),
      } satisfies Device,
    ];
  });
}

function rendererOf(network: Mapping, devices: Device[]): Renderer {
  const main =
    devices.find((device) => device.gateway) ?? devices.find((device) => device.addresses.length > 0);
  const ethernets = isMapping(network.ethernets) ? network.ethernets : {};
  const names = [main?.name, ...(main?.over ?? [])];
  const settings = Object.entries(ethernets).find(
    ([id, one]) => isMapping(one) && (names.includes(id) || names.includes(text(one['set-name']))),
  )?.[1];
  const others = Object.values(ethernets).filter(isMapping);
  const said =
    text(
      isMapping(settings) ? settings.renderer : others.find((one) => one.renderer !== undefined)?.renderer,
    ) ??
    text(ethernets.renderer) ??
    text(network.renderer);
  return said === 'NetworkManager' ? 'NetworkManager' : 'networkd';
}

/** Definitions that name no device but those that stay themselves: one that names none which is there fails all. */
function keptOf(network: Mapping): Mapping {
  let kept = definitions(network).filter(
    ({ type, settings }) =>
      type !== 'ethernets' &&
      !(ON_CARDS.has(type) && references(settings).length === 0 && type !== 'bridges'),
  );
  for (;;) {
    const ids = new Set(kept.map(({ id }) => id));
    const left = kept.filter(({ settings }) => references(settings).every((id) => ids.has(id)));
    if (left.length === kept.length) break;
    kept = left;
  }
  const result: Record<string, Mapping> = {};
  for (const { type, id, settings } of kept) (result[type] ??= {})[id] = settings;
  return result;
}

function references(settings: Mapping): string[] {
  return [...list(settings.interfaces), settings.link, settings.peer].flatMap((one) => text(one) ?? []);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
