import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { setAside, withBlock } from '../changes/marked-text';
import { globPattern, type Units } from '../units';
import { addressesIn, MAX_TEXT_BYTES, plainName, type Device } from './card';
import { tellOfLying } from './networkd';

const DIRECTORY = '/etc/network';
const MAIN = `${DIRECTORY}/interfaces`;
/** Files that name files; nobody goes further. */
const MAX_FILES = 100;

/** Whether ifupdown configures cards: it is started at boot, or for each card. */
export function isIfupdownEnabled(units: Units): boolean {
  return units.isBlind || units.enabled('networking.service') || units.enabledInstance('ifup@');
}

/** The files that ifupdown reads: `source` and `source-directory` lead from one to the next. */
async function sources(files: GuestFiles): Promise<{ paths: string[]; outside: string[] }> {
  const paths = [MAIN];
  const outside: string[] = [];
  const interfacesD = (await files.list(`${DIRECTORY}/interfaces.d`)).map(
    (name) => `${DIRECTORY}/interfaces.d/${name}`,
  );
  for (let at = 0; at < paths.length && paths.length < MAX_FILES; at++) {
    const path = paths[at] ?? '';
    if ((await files.realpath(path)) === undefined) continue;
    for (const line of (await files.read(path, MAX_TEXT_BYTES)).toString('latin1').split('\n')) {
      const [, keyword, argument] = /^\s*(source|source-directory)\s+(\S+)/.exec(line) ?? [];
      if (argument === undefined) continue;
      const absolute = argument.startsWith('/') ? argument : `${DIRECTORY}/${argument}`;
      if (!/^\/etc\/network\/[^/]+(\/[^/]*)?$/.test(absolute)) {
        outside.push(argument);
        continue;
      }
      paths.push(...(await matching(files, absolute, keyword === 'source-directory')));
    }
  }
  // As well where the line that names them has gone: the directory is what everybody uses.
  return { paths: [...new Set([...paths, ...interfacesD])], outside };
}

async function matching(files: GuestFiles, pattern: string, isDirectory: boolean): Promise<string[]> {
  const at = pattern.lastIndexOf('/');
  const [directory, name] = isDirectory
    ? [pattern.replace(/\/$/, ''), '*']
    : [pattern.slice(0, at), pattern.slice(at + 1)];
  const names = globPattern(name);
  return (await files.list(directory)).filter((one) => names.test(one)).map((one) => `${directory}/${one}`);
}

/** Takes all cards but the loopback from ifupdown. @returns the devices that it configured */
export async function planIfupdown(files: GuestFiles, plan: ChangePlan, acts: boolean): Promise<Device[]> {
  const { paths, outside } = await sources(files);
  const devices: Device[] = [];
  for (const path of paths) {
    const real = await files.realpath(path);
    if (real === undefined || (await files.stat(real))?.type !== 'file') continue;
    devices.push(...interfacesDevices((await files.read(path, MAX_TEXT_BYTES)).toString('latin1'), path));
    await plan.edit(path, (text) => interfacesForRecoverySite(text, outside));
  }
  if (!acts) return [];
  for (const pattern of outside)
    plan.warn(`${MAIN} takes files from ${pattern}, which are left out at the recovery site.`);
  for (const device of devices)
    if (device.kind !== 'card' && device.name !== undefined && device.over.length > 0)
      tellOfLying(plan, device.name, device.where);
  return devices;
}

/** Without all cards but the loopback, and without the files that `outside` names as they are named. */
export function interfacesForRecoverySite(text: string, outside: string[] = []): string {
  const loopback: string[] = [];
  let aside = false;
  let continued = false;
  const kept = setAside(text, (line) => {
    const isContinuation = continued;
    continued = line.endsWith('\\');
    const [keyword, ...names] = line.trim().split(/\s+/);
    if (isContinuation) return aside;
    if (!keyword || keyword.startsWith('#')) return false;
    if (keyword === 'iface' || keyword === 'mapping' || keyword === 'template') aside = names[0] !== 'lo';
    else if (keyword === 'auto' || keyword.startsWith('allow-')) {
      aside = names.some((name) => name !== 'lo');
      if (aside && names.includes('lo')) loopback.push(`${keyword} lo`);
    } else if (/^(source|source-directory)$/.test(keyword)) aside = outside.includes(names[0] ?? '');
    else if (/^(no-auto-down|no-scripts|rename)$/.test(keyword)) aside = names.some((name) => name !== 'lo');
    return aside;
  });
  return kept === text ? text : withBlock(kept, loopback);
}

/** What the stanzas of interfaces(5) make. */
export function interfacesDevices(text: string, where: string): Device[] {
  const devices = new Map<string, Device>();
  const parts: [part: string, whole: string][] = [];
  let current: Device | undefined;
  for (const line of text.replace(/\\\n/g, ' ').split('\n')) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (!keyword || keyword.startsWith('#')) continue;
    if (keyword === 'iface') {
      const name = plainName(words[0]?.split(':')[0]);
      current = undefined;
      if (name === undefined || name === 'lo') continue;
      current = devices.get(name) ?? { where, kind: 'card', name, addresses: [], gateway: false, over: [] };
      devices.set(name, current);
      const vlan = /^(.+)\.\d+$/.exec(name)?.[1];
      if (vlan !== undefined && current.over.length === 0) {
        current.kind = 'vlan';
        current.over = [vlan];
      } else if (/^(dummy|tun|tap|wg|docker|virbr|veth)\d*/.test(name)) current.kind = 'other';
    } else if (/^(auto|allow-.*|mapping|source|source-directory|template|no-.*|rename)$/.test(keyword))
      current = undefined;
    else if (current !== undefined) {
      if (keyword === 'address') current.addresses.push(...addressesIn(words.slice(0, 1)));
      if (keyword === 'gateway') current.gateway = true;
      const ports = words.flatMap((word) => (word === 'none' ? [] : (plainName(word) ?? [])));
      if (/^bridge[-_]ports$/.test(keyword)) Object.assign(current, { kind: 'bridge', over: ports });
      if (/^(bond[-_](slaves|ports)|slaves)$/.test(keyword))
        Object.assign(current, { kind: 'bond', over: ports });
      if (/^bond[-_]master$/.test(keyword) && ports[0] !== undefined)
        parts.push([current.name ?? '', ports[0]]);
      if (/^vlan[-_]raw[-_]device$/.test(keyword)) Object.assign(current, { kind: 'vlan', over: ports });
    }
  }
  for (const [part, whole] of parts) {
    const device = devices.get(whole);
    if (device !== undefined) Object.assign(device, { kind: 'bond', over: [...device.over, part] });
  }
  return [...devices.values()];
}
