import { type DeviceNames } from '../disk/device-names';
import { GuestNotAdaptableError } from '../port';
import { commentOutWithReplacement, restoreCommentedOut } from './marked-text';

export interface FstabEntry {
  device: string;
  mountPoint: string;
  type: string;
  options: string[];
}

/** Reads an fstab; comments and lines that mount does not understand are left out. */
export function parseFstab(text: string): FstabEntry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): FstabEntry | undefined {
  const [device, mountPoint, type, options] = line.trim().split(/\s+/);
  if (!device || device.startsWith('#') || !mountPoint || !type) return undefined;
  return {
    device,
    mountPoint: mountPoint.replace(/(?!^)\/+$/, ''),
    type,
    options: options?.split(',') ?? [],
  };
}

/** Names disks by UUID where an fstab names them by their place. @throws GuestNotAdaptableError where that cannot be */
export function fstabWithLastingNames(text: string, names: DeviceNames): string {
  return commentOutWithReplacement(text, (line) => {
    const entry = parseLine(line);
    if (entry === undefined) return undefined;
    const lasting = entry.options.some((option) => option === 'nofail' || option === 'noauto')
      ? nameIfAny(entry.device, names)
      : names.lastingName(entry.device, '/etc/fstab');
    return lasting === undefined ? undefined : line.replace(entry.device, lasting);
  });
}

/** Names disks by UUID in a crypttab, where the second field names the disk. @throws GuestNotAdaptableError */
export function crypttabWithLastingNames(text: string, names: DeviceNames): string {
  return commentOutWithReplacement(text, (line) => {
    const [name, device] = line.trim().split(/\s+/);
    if (!name || name.startsWith('#') || !device) return undefined;
    const lasting = names.lastingName(device, '/etc/crypttab');
    return lasting === undefined ? undefined : line.replace(device, lasting);
  });
}

/** Undoes both, whatever else has changed in the file. */
export function withOriginalNames(text: string): string {
  const rest = (line: string) => line.replace(/\/dev\/\S+|UUID=[0-9A-Fa-f-]+/, '');
  return restoreCommentedOut(
    text,
    (line, original) => line.includes('UUID=') && rest(line) === rest(original),
  );
}

/** What may be missing at the primary site may be missing at the recovery site. */
function nameIfAny(device: string, names: DeviceNames): string | undefined {
  try {
    return names.lastingName(device, '/etc/fstab');
  } catch (error) {
    if (error instanceof GuestNotAdaptableError) return undefined;
    throw error;
  }
}
