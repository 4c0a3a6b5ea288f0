import { type DeviceNames } from '../../disk/device-names';
import { hardwareId } from '../../disk/disk-name';
import { type DiskContent } from '../../disk/guest-disks';
import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { commentOutWithReplacement } from '../changes/marked-text';
import { patternMatches } from './lvm-pattern';

/** Both are read, and the second one wins. */
export const LVM_CONFIGURATIONS = ['/etc/lvm/lvm.conf', '/etc/lvm/lvmlocal.conf'];
const DEVICES_DIRECTORY = '/etc/lvm/devices';
/** LVM uses it by the name in lvm.conf; what is beside it are its backups and other hosts'. */
const DEVICES_FILE = /^[A-Za-z0-9._-]{1,100}\.devices$/;
const MAX_DEVICES_BYTES = 1024 * 1024;

/** A disk of an instance, and a partition of one. */
const RECOVERY_NAMES = ['/dev/nvme0n1', '/dev/nvme1n1p2'];
const ACCEPT_NVME = 'a|^/dev/nvme[0-9]+n[0-9]+(p[0-9]+)?$|';

/** A disk at home, and a partition of one. */
const HOME_NAMES = ['/dev/sda', '/dev/sdb2'];
const ACCEPT_SCSI = 'a|^/dev/sd[a-z]+[0-9]*$|';
/** Links by serial numbers and world-wide names, in a pattern of any writing; by-id has those of volumes and arrays, too. */
const BY_HARDWARE = /by-id\/(?!dm-|lvm-|md-)|wwn-|scsi-/;

/** Lets LVM see the disks of EC2 where the guest has told it to look at the primary site's only. */
export async function planLvm(files: GuestFiles, plan: ChangePlan, names: DeviceNames): Promise<void> {
  for (const path of LVM_CONFIGURATIONS) {
    await plan.edit(path, (text) =>
      lvmConfigurationForRecoverySite(text, names, path, (sentence) => plan.warn(sentence)),
    );
  }
  // By serial numbers and world-wide names, which EC2's disks do not have. Without it LVM looks at all disks.
  for (const path of await devicesFiles(files)) await plan.setAside(path);
}

/** Paths of LVM's devices files. */
export async function devicesFiles(files: GuestFiles): Promise<string[]> {
  const found: string[] = [];
  for (const name of await files.list(DEVICES_DIRECTORY)) {
    const path = `${DEVICES_DIRECTORY}/${name}`;
    if (DEVICES_FILE.test(name) && (await files.stat(path))?.type === 'file') found.push(path);
  }
  return found;
}

/** What LVM's devices files say of the hardware: the disk of a physical volume is known by what is on it. */
export async function learnFromDevicesFiles(files: GuestFiles, names: DeviceNames): Promise<void> {
  const volumes = new Map(
    names.contents.flatMap((one) =>
      one.physicalVolume === undefined ? [] : [[one.physicalVolume.id.replaceAll('-', ''), one] as const],
    ),
  );
  for (const path of await devicesFiles(files)) {
    const text = (await files.read(path, MAX_DEVICES_BYTES)).toString('latin1');
    for (const line of text.split('\n')) {
      const id = /\bIDTYPE=sys_wwid IDNAME=(\S+)/.exec(line)?.[1];
      const volume = volumes.get(/\bPVID=(\S+)/.exec(line)?.[1] ?? '');
      if (id !== undefined && volume !== undefined) names.learnHardware(hardwareId(id), volume);
    }
  }
}

/** An lvm.conf whose filters let EC2's disks through; one that does so already is left alone. */
export function lvmConfigurationForRecoverySite(
  text: string,
  names: DeviceNames,
  path: string,
  warn: (sentence: string) => void,
): string {
  const additions = additionsTo(text, (patterns) => {
    if (RECOVERY_NAMES.every((name) => accepts(patterns, [name]))) return undefined;
    warn(`${path} has a filter that hides EC2's disks from LVM: on EC2 it lets them through.`);
    return acceptedOnEc2(patterns, names);
  });
  return commentOutWithReplacement(text, (line, index) => additions.get(index)?.(line));
}

/** An lvm.conf whose filters let the disks at home through, where what they let through is hardware that is gone. */
export function lvmConfigurationForNewDisks(text: string): string {
  const additions = additionsTo(text, (patterns) => {
    const byHardware = patterns.some((pattern) => pattern.startsWith('a') && BY_HARDWARE.test(pattern));
    return byHardware && !HOME_NAMES.every((name) => accepts(patterns, [name])) ? [ACCEPT_SCSI] : undefined;
  });
  return text
    .split('\n')
    .map((line, index) => additions.get(index)?.(line) ?? line)
    .join('\n');
}

/** Lines of filters that get patterns before their own, each with what makes the new line of it. */
function additionsTo(
  text: string,
  patternsFor: (patterns: string[]) => string[] | undefined,
): Map<number, (line: string) => string> {
  const additions = new Map<number, (line: string) => string>();
  for (const { line: index, column, end, patterns } of findFilters(text)) {
    const added = patternsFor(patterns)
      ?.map((pattern) => `"${pattern}", `)
      .join('');
    if (added === undefined) continue;
    additions.set(index, (line) => {
      const before = line.slice(0, column);
      // A single pattern needs no brackets; two do.
      return end === undefined
        ? `${before} ${added}${line.slice(column)}`
        : `${before}[ ${added}${line.slice(column, end)} ]${line.slice(end)}`;
    });
  }
  return additions;
}

interface Filter {
  /** Where the first pattern is put before: behind the bracket, or at the only pattern. */
  line: number;
  column: number;
  /** Where the only pattern ends, if it stands without brackets. */
  end: number | undefined;
  patterns: string[];
}

/** A small part of LVM's configuration language: comments, strings, and what `filter` and `global_filter` are set to. */
const TOKEN = /#[^\n]*|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z_][\w/-]*|[[\]={},\n]|[^\s]/g;
const FILTER_KEY = /^(devices\/)?(global_)?filter$/;

function findFilters(text: string): Filter[] {
  const found: Filter[] = [];
  let line = 0;
  let lineStart = 0;
  let state: 'key' | 'equals' | 'value' | 'array' = 'key';
  let current: Filter | undefined;
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    if (token === '\n') {
      line++;
      lineStart = match.index + 1;
    } else if (token.startsWith('#')) continue;
    else if (FILTER_KEY.test(token) && state !== 'array') state = 'equals';
    else if (state === 'equals') state = token === '=' ? 'value' : 'key';
    else if (state === 'value') {
      const column = match.index - lineStart;
      if (token === '[') {
        current = { line, column: column + 1, end: undefined, patterns: [] };
        state = 'array';
      } else {
        if (/^["']/.test(token))
          found.push({ line, column, end: column + token.length, patterns: [unquote(token)] });
        state = 'key';
      }
    } else if (state === 'array') {
      if (token === ']') {
        if (current !== undefined && current.patterns.length > 0) found.push(current);
        state = 'key';
      } else if (/^["']/.test(token)) current?.patterns.push(unquote(token));
    }
  }
  return found;
}

function unquote(token: string): string {
  const inner = token.slice(1, -1);
  return token.startsWith('"') ? inner.replace(/\\(.)/g, '$1') : inner;
}

/** lvm.conf(5): the first pattern that matches one of a device's names decides; a device that none matches is let through. */
function accepts(patterns: string[], deviceNames: string[]): boolean {
  let rejected = false;
  for (const name of deviceNames) {
    const decision = decide(patterns, name);
    if (decision === true) return true;
    if (decision === false) rejected = true;
  }
  return !rejected;
}

function decide(patterns: string[], name: string): boolean | undefined {
  for (const pattern of patterns) {
    // a|…|, with any delimiter; brackets come in pairs.
    const inner = /^[ar](?:\((.*)\)|\[(.*)\]|\{(.*)\}|(.)(.*)\4)$/.exec(pattern);
    const expression = inner?.[1] ?? inner?.[2] ?? inner?.[3] ?? inner?.[5];
    if (expression !== undefined && patternMatches(expression, name)) return pattern.startsWith('a');
  }
  return undefined;
}

/**
 * What shall be let through on EC2: all disks, unless the guest hides some physical volumes from LVM at home (copies of
 * others, or those of its own guests): then the ones that it sees there, by what is on them.
 */
function acceptedOnEc2(patterns: string[], names: DeviceNames): string[] {
  const volumes = names.contents.filter((one) => one.physicalVolume !== undefined);
  const seen = volumes.filter((one) => {
    const atHome = namesAtHome(one, names);
    // By links that are not known here it may be let through as well.
    return patterns.some((pattern) => /^a.*(by-|wwn|scsi-)/.test(pattern)) || accepts(patterns, atHome);
  });
  if (seen.length === volumes.length || seen.length === 0) return [ACCEPT_NVME];
  return seen.map((one) => `a|^/dev/disk/by-id/lvm-pv-uuid-${one.physicalVolume?.id ?? ''}$|`);
}

function namesAtHome(content: DiskContent, names: DeviceNames): string[] {
  const index = names.disks.findIndex((disk) => disk.contents.includes(content));
  const letters = index < 26 ? String.fromCharCode(97 + index) : `a${String.fromCharCode(97 + index - 26)}`;
  return [`/dev/sd${letters}${content.partition?.number ?? ''}`];
}
