import { type DeviceNames } from '../../disk/device-names';
import { parseDiskName } from '../../disk/disk-name';
import { GuestFileError, type GuestFiles } from '../../files/port';
import { GRUBENV_BYTES } from '../boot/grubenv';
import { learnDisks } from './learn-disks';
import { devicesFiles, LVM_CONFIGURATIONS, lvmConfigurationForNewDisks } from './lvm';

/**
 * At home a VM's disks are new ones. What the guest called the old ones by, a number of their hardware, comes back with
 * the originals of its files, and leads nowhere: a RHEL 9 on LVM waits for its volumes until it gives up.
 */

const BY_ID = /\/dev\/disk\/by-id\/[^\s"'`,;]+/g;
/** Told of even where the adaptation found nothing in them to change. */
const TABLES = ['/etc/fstab', '/etc/crypttab'];
const MAX_TEXT_BYTES = 1024 * 1024;

export interface Forgotten {
  /** Files that were changed, as they are now. */
  changed: { path: string; content: Buffer }[];
  warnings: string[];
}

/**
 * Puts names that last in the place of those of hardware that is gone, wherever the guest finds its disks by them.
 * @param replaced files that had other content at the recovery site: whatever names a disk whose meaning is known is among them
 */
export async function forgetLostHardware(
  files: GuestFiles,
  names: DeviceNames,
  replaced: string[],
): Promise<Forgotten> {
  if (names.root !== undefined) await learnDisks(files, names.root, names);
  const forgotten: Forgotten = { changed: [], warnings: [] };
  for (const path of new Set([...TABLES, ...replaced])) {
    const warn = (sentence: string): void => void forgotten.warnings.push(`${path}: ${sentence}`);
    await edit(files, path, forgotten, (text) => {
      const changed = withoutLostHardware(text, names, warn);
      return path.endsWith('/grubenv') ? asGrubenv(changed, text) : changed;
    });
  }
  for (const path of LVM_CONFIGURATIONS) await edit(files, path, forgotten, lvmConfigurationForNewDisks);
  for (const path of await devicesFiles(files)) await edit(files, path, forgotten, devicesByContent);
  if (forgotten.changed.length > 0)
    forgotten.warnings.push(
      `${forgotten.changed.map(({ path }) => path).join(', ')} named disks by numbers of hardware that is gone; the new disks are found by what is on them.`,
    );
  return forgotten;
}

async function edit(
  files: GuestFiles,
  path: string,
  forgotten: Forgotten,
  change: (text: string) => string,
): Promise<void> {
  if ((await files.realpath(path)) === undefined) return;
  let text: string;
  try {
    text = (await files.read(path, MAX_TEXT_BYTES)).toString('latin1');
  } catch (error) {
    // What somebody has made of it meanwhile keeps no guest from coming home.
    if (!(error instanceof GuestFileError)) throw error;
    forgotten.warnings.push(
      `${error.message}; whether it names disks by hardware that is gone is not known.`,
    );
    return;
  }
  const changed = change(text);
  if (changed === text) return;
  const content = Buffer.from(changed, 'latin1');
  await files.write(path, content);
  forgotten.changed.push({ path, content });
}

/** A text of the guest with links by content in the place of links by hardware; those of other disks stay. */
export function withoutLostHardware(
  text: string,
  names: DeviceNames,
  warn: (sentence: string) => void = () => undefined,
): string {
  return text.replace(BY_ID, (name) => {
    if (parseDiskName(name)?.kind !== 'hardware') return name;
    const verdict = names.judge(name);
    if (verdict?.is === 'told') return verdict.link;
    warn(
      `${name} is of hardware that is gone, and what it meant is not known: look at it before the guest needs it.`,
    );
    return name;
  });
}

/** GRUB writes into the file without making it longer or shorter. */
function asGrubenv(changed: string, before: string): string {
  const content = changed.replace(/#+$/, '');
  return changed === before || content.length > GRUBENV_BYTES ? before : content.padEnd(GRUBENV_BYTES, '#');
}

/**
 * A devices file of LVM whose disks are known by the physical volume on them: of an entry with a device's name LVM looks for
 * the volume on all disks where that name has another, and puts it right (lvmdevices(8), search_for_devnames).
 */
export function devicesByContent(text: string): string {
  return text.replace(
    /^IDTYPE=(?!devname\b)\S+ IDNAME=\S+ DEVNAME=(\/dev\/\S+) (PVID=[^\s.]+.*)$/gm,
    (_, name, rest) => {
      return `IDTYPE=devname IDNAME=${String(name)} DEVNAME=${String(name)} ${String(rest)}`;
    },
  );
}
