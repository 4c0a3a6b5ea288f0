import { type DeviceNames, type Verdict } from '../../disk/device-names';
import { commentOutWithReplacement, restoreCommentedOut, setAside } from '../changes/marked-text';

export interface FstabEntry {
  device: string;
  mountPoint: string;
  type: string;
  options: string[];
}

/** Tells something for the adaptation's report. */
export type Warn = (sentence: string) => void;

const FSTAB = '/etc/fstab';
/** Device, mount point, type and options, with what is between them and around. */
const LINE = /^(\s*)(\S+)(\s+)(\S+)(\s+)(\S+)(?:(\s+)(\S+))?(.*)$/;
/** Types that systemd knows to need the network (fstype_is_network), and what stands for them in FUSE. */
const NETWORK_TYPE =
  /^(fuse\.)?(nfs4?|cifs|smb3?|smbfs|sshfs|ncpfs?|glusterfs|ceph|gfs2?|ocfs2|pvfs2|orangefs|lustre|davfs2?|afs|9p|s3fs|rclone)$/;

/** Reads an fstab; comments and lines that mount does not understand are left out. */
export function parseFstab(text: string): FstabEntry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): FstabEntry | undefined {
  const match = LINE.exec(line);
  if (match === null || match[2]?.startsWith('#')) return undefined;
  return {
    device: match[2] ?? '',
    mountPoint: (match[4] ?? '').replace(/(?!^)\/+$/, ''),
    type: match[6] ?? '',
    options: match[8]?.split(',') ?? [],
  };
}

interface Judged extends FstabEntry {
  verdict: Verdict | undefined;
  /** The boot ends in emergency mode without it. */
  needed: boolean;
  /** Why it is not there on EC2, where that is so. */
  lost: string | undefined;
}

/**
 * An fstab with which the guest starts on EC2: disks by names that hold there, and what is not there neither waited for
 * nor needed.
 * @throws GuestNotAdaptableError where the root file system has no name that holds
 */
export function fstabForRecoverySite(text: string, names: DeviceNames, warn: Warn): string {
  const lines = text.split('\n');
  const judged = new Map<number, Judged>();
  for (const entry of parseFstab(text)) names.claim(entry.device);
  for (const [index, line] of lines.entries()) {
    const entry = parseLine(line);
    if (entry !== undefined) judged.set(index, judge(entry, names));
  }
  loseDependents([...judged.values()]);
  for (const entry of judged.values()) tell(entry, warn);

  const changed = lines.map((line, index) => {
    const entry = judged.get(index);
    return entry === undefined ? line : lineFor(entry, line, names, warn);
  });
  // Both marks, line by line: what nothing is put in the place of is set aside.
  return lines
    .map((line, index) => {
      const entry = judged.get(index);
      if (entry !== undefined && isDropped(entry)) return setAside(line, () => true);
      return commentOutWithReplacement(line, () => changed[index]);
    })
    .join('\n');
}

/** Undoes it, whatever else has changed in the file. */
export function withOriginalNames(text: string): string {
  const rest = (line: string) => line.replace(/\/dev\/\S+|UUID=[0-9A-Fa-f-]+/, '');
  return restoreCommentedOut(
    text,
    (line, original) => line.includes('UUID=') && rest(line) === rest(original),
  );
}

function judge(entry: FstabEntry, names: DeviceNames): Judged {
  const { device, mountPoint, type, options } = entry;
  const has = (...wanted: string[]) => options.some((option) => wanted.includes(option));
  const root = mountPoint === '/';
  const verdict = names.judge(device, type);
  const automatic = has('x-systemd.automount', 'comment=systemd.automount');
  return {
    ...entry,
    verdict,
    // An automount waits only for who looks into it.
    needed: !root && type !== 'swap' && !has('nofail', 'noauto', 'ignore') && type !== 'ignore' && !automatic,
    lost: !root && verdict?.is === 'lost' ? verdict.why : undefined,
  };
}

/** What lies in, or is mounted from, a directory that is not there cannot be mounted either. */
function loseDependents(entries: Judged[]): void {
  const unsure = entries.filter((entry) => entry.lost !== undefined || isNetwork(entry));
  const inside = (path: string, directory: string) =>
    directory.startsWith('/') &&
    directory !== '/' &&
    (path === directory || path.startsWith(`${directory}/`));
  for (let more = true; more;) {
    more = false;
    for (const entry of entries) {
      if (unsure.includes(entry) || entry.mountPoint === '/') continue;
      const paths = [
        ...(entry.device.startsWith('/dev/') ? [] : [entry.device]),
        entry.mountPoint,
        ...entry.options.flatMap((option) => option.split('=')[1]?.split(':') ?? []),
      ];
      const cause = unsure.find(
        (one) => one !== entry && one.type !== 'swap' && paths.some((path) => inside(path, one.mountPoint)),
      );
      if (cause === undefined) continue;
      entry.lost = `it needs ${cause.mountPoint}, which may not be there on EC2`;
      unsure.push(entry);
      more = true;
    }
  }
}

function isNetwork({ device, type, options }: FstabEntry): boolean {
  return (
    NETWORK_TYPE.test(type) ||
    options.includes('_netdev') ||
    // A server, as NFS and SMB name it, whatever the type says.
    /^(\/\/|[A-Za-z0-9][A-Za-z0-9.-]*:\/|\[[0-9A-Fa-f:]+\]:\/)/.test(device)
  );
}

/** A swap area that is not there is waited for in vain, a minute and a half. */
function isDropped({ lost, type, options }: Judged): boolean {
  return lost !== undefined && type === 'swap' && !options.includes('noauto');
}

function tell(entry: Judged, warn: Warn): void {
  const { device, mountPoint, verdict, lost, needed, type } = entry;
  const what = type === 'swap' ? 'swap area' : mountPoint;
  if (isDropped(entry)) {
    warn(`${FSTAB} has the swap area ${device}, and ${lost}: it is left out on EC2.`);
  } else if (lost !== undefined && needed) {
    warn(
      `${FSTAB} mounts ${what} from ${device}, and ${lost}: it is marked "nofail" on EC2, so that the guest starts without it.`,
    );
  } else if (lost !== undefined && verdict?.is === 'lost' && !isExpected(entry)) {
    warn(
      `${FSTAB} mounts ${what} from ${device}, and ${lost}: it will be missing on EC2. Name it by UUID= in the guest.`,
    );
  } else if (verdict?.is === 'told' && verdict.guessed) {
    warn(
      `${FSTAB} mounts ${what} from ${device}; on EC2 that is ${verdict.name}, the only one of the VM's disks that it can mean. Name it so in the guest.`,
    );
  } else if (isNetwork(entry) && needed) {
    warn(
      `${FSTAB} mounts ${what} from ${device}, over the network: where EC2 does not reach it, the boot waits for it. Mark it "nofail" in the guest.`,
    );
  }
}

/** A drive that is mounted by hand is missed by nobody. */
function isExpected({ verdict, options }: Judged): boolean {
  return verdict?.is === 'lost' && verdict.gone && options.includes('noauto');
}

function lineFor(entry: Judged, line: string, names: DeviceNames, warn: Warn): string {
  const match = LINE.exec(line);
  if (match === null) return line;
  const { verdict, mountPoint } = entry;
  let device = entry.device;
  if (mountPoint === '/') {
    // Whatever it is called, the root is the one that was found.
    if (verdict !== undefined && verdict.is !== 'lasting') device = names.rootName(FSTAB, device);
  } else if (verdict?.is === 'told') device = verdict.name;
  let options = optionsForRecoverySite(match[8], entry, names, warn);
  if (entry.lost !== undefined && entry.needed) options = [...(options ?? ['defaults']), 'nofail'];
  const unchanged = device === entry.device && options?.join(',') === match[8];
  if (unchanged) return line;
  const [, indent = '', , first = '', point = '', second = '', type = '', third, , rest = ''] = match;
  const ending = options === undefined ? rest : `${third ?? ' '}${options.join(',')}${rest}`;
  return `${indent}${device}${first}${point}${second}${type}${ending}`;
}

/** Options that name disks: journals of their own, members of a btrfs, what systemd shall wait for. */
function optionsForRecoverySite(
  text: string | undefined,
  entry: Judged,
  names: DeviceNames,
  warn: Warn,
): string[] | undefined {
  return text?.split(',').flatMap((option) => {
    const [key = '', value = ''] = option.split(/=(.*)/);
    const verdict = value.startsWith('/dev/') ? names.judge(value) : undefined;
    if (verdict?.is === 'told') return [`${key}=${verdict.link}`];
    // A btrfs finds its members by itself; a device that is not there would only be waited for.
    if (verdict?.is === 'lost' && /^(device|x-systemd\.(requires|after|device-bound).*)$/.test(key))
      return [];
    if (verdict?.is === 'lost')
      warn(
        `${FSTAB} has ${key}=${value} for ${entry.mountPoint}, and ${verdict.why}: ${entry.mountPoint} may be missing on EC2.`,
      );
    return [option];
  });
}
