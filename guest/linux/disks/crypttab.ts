import { type DeviceNames } from '../../disk/device-names';
import { type Warn } from './fstab';
import { commentOutWithReplacement, setAside } from '../changes/marked-text';

const CRYPTTAB = '/etc/crypttab';

/** Name, device, key and options, with what is between them. */
const LINE = /^(\s*)(\S+)(\s+)(\S+)(?:(\s+)(\S+))?(?:(\s+)(\S+))?(.*)$/;

interface Entry {
  name: string;
  device: string;
  key: string;
  options: string[];
}

function parseLine(line: string): Entry | undefined {
  const match = LINE.exec(line);
  if (match === null || match[2]?.startsWith('#')) return undefined;
  return {
    name: match[2] ?? '',
    device: match[4] ?? '',
    key: match[6] ?? '',
    options: match[8]?.split(',') ?? [],
  };
}

/** Tells the names that the guest makes in /dev/mapper: those whose disk is there. */
export function learnMapped(text: string, names: DeviceNames): void {
  for (const line of text.split('\n')) {
    const entry = parseLine(line);
    if (entry === undefined) continue;
    names.claim(entry.device);
    names.learnMapped(entry.name, names.judge(entry.device)?.is !== 'lost');
  }
}

/** A crypttab whose disks have names that hold on EC2; one that is not there is neither asked for nor waited for. */
export function crypttabForRecoverySite(text: string, names: DeviceNames, warn: Warn): string {
  return text
    .split('\n')
    .map((line) => {
      const entry = parseLine(line);
      if (entry === undefined) return line;
      const verdict = names.judge(entry.device);
      if (verdict?.is === 'lost' && !entry.options.includes('noauto')) {
        warn(`${CRYPTTAB} has ${entry.name} on ${entry.device}, and ${verdict.why}: it is left out on EC2.`);
        return setAside(line, () => true);
      }
      return commentOutWithReplacement(line, () => lineFor(entry, line, names, warn));
    })
    .join('\n');
}

function lineFor(entry: Entry, line: string, names: DeviceNames, warn: Warn): string {
  const match = LINE.exec(line);
  if (match === null) return line;
  const [, indent = '', , first = '', , second, , third, , rest = ''] = match;
  const verdict = names.judge(entry.device);
  const device = verdict?.is === 'told' ? verdict.name : entry.device;
  const options = entry.options.map((option) => {
    const [key = '', value = ''] = option.split(/=(.*)/);
    const other = value.startsWith('/dev/') ? names.judge(value) : undefined;
    return other?.is === 'told' ? `${key}=${other.link}` : option;
  });
  return [
    `${indent}${entry.name}${first}${device}`,
    second === undefined ? '' : `${second}${keyFor(entry, names, warn)}`,
    third === undefined ? '' : `${third}${options.join(',')}`,
    rest,
  ].join('');
}

/** A key may lie on another disk: `/file:DEVICE` for systemd, `DEVICE:/file` for Debian's initramfs. */
function keyFor({ name, key }: Entry, names: DeviceNames, warn: Warn): string {
  if (/^\/dev\/(u?random|hwrng|zero|null|tty.*)$/.test(key)) return key;
  const match = /^(\/dev\/[^:]+)(:.*)$/.exec(key) ?? /^([^:]+:)(\/dev\/[^:]+)$/.exec(key);
  const device = match?.slice(1).find((part) => part.startsWith('/dev/')) ?? key;
  const verdict = device.startsWith('/dev/') ? names.judge(device) : undefined;
  if (verdict?.is === 'told') return key.replace(device, verdict.link);
  if (verdict?.is === 'lost')
    warn(
      `${CRYPTTAB} has the key of ${name} on ${device}, and ${verdict.why}: somebody has to type it on EC2.`,
    );
  return key;
}
