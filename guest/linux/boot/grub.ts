import { type DeviceNames } from '../../disk/device-names';
import { type Warn } from '../disks/fstab';
import { commandLineForRecoverySite } from '../disks/kernel-command-line';
import { primaryNetworkOf, withPrimaryNetwork } from '../network/kernel-arguments';
import { commentOutWithReplacement, setAside, withBlock } from '../changes/marked-text';

/** The last console= is where /dev/console leads, and so what EC2's console output shows. */
export const SERIAL_CONSOLE = 'console=tty0 console=ttyS0,115200';

/** Xen's entries hand the kernel over as a module. */
const LINUX_LINE = /^\s*(linux(16|efi)?|module2?)\s/;
const ENTRY_LINE = /^\s*(menuentry|submenu)\s/;
/** What os-prober found on another disk, at some time. */
const FOREIGN_ENTRY = /osprober/;
const SET_ROOT = /^(\s*)set\s+root=["'(]*hd(\d{1,3}),(?:gpt|msdos)?(\d{1,3})["')]*\s*$/;
const SEARCH = /^\s*search\s.*--set(=root|\s|$)/;
const DEFAULT_GRUB = '/etc/default/grub';

/** One grub.cfg of a guest, and the line in it that boots the guest; undefined where that is not known. */
export interface GrubCfg {
  path: string;
  bootLine: string | undefined;
  warn: Warn;
}

/**
 * grub.cfg with the serial console, and with disks by names that hold on EC2. Entries of other systems, which stay in a
 * menu for years after their disks have gone, are left alone.
 * @throws GuestNotAdaptableError where this system's root has no name that holds
 */
export function grubCfgForRecoverySite(text: string, names: DeviceNames, cfg: GrubCfg): string {
  const lines = text.split('\n');
  const own = rootOf(cfg.bootLine ?? '') ?? ownRoot(lines);
  let foreign = false;
  return lines
    .flatMap((line, index) => {
      if (ENTRY_LINE.test(line)) foreign = FOREIGN_ENTRY.test(line);
      if (SET_ROOT.test(line)) return [line, ...searchAfter(lines, index, names)];
      if (!LINUX_LINE.test(line)) return [line];
      const root = rootOf(line);
      const isOwn = !foreign && (root === undefined || root === own);
      const verdict = isOwn || root === undefined ? undefined : names.judge(root);
      if (root !== undefined && verdict?.is === 'lost') {
        // What os-prober wrote is no person's, and is there for years.
        if (!foreign)
          cfg.warn(
            `An entry of the boot menu that is not the one that boots has its root on ${root}, and ${verdict.why}: it is left as it is.`,
          );
        return [line];
      }
      const lasting = commandLineForRecoverySite(line, names, { where: cfg.path, own: isOwn }, cfg.warn);
      const isLinux = !/^\s*module/.test(line) || root !== undefined;
      return [
        !isLinux || foreign || hasSerialConsole(lasting) ? lasting : `${lasting.trimEnd()} ${SERIAL_CONSOLE}`,
      ];
    })
    .join('\n');
}

/** Kernel arguments with the serial console, and with disks by names that hold. @param where the file, for messages */
export function argumentsForRecoverySite(
  text: string,
  names: DeviceNames,
  where: string,
  warn: Warn,
): string {
  const lasting = commandLineForRecoverySite(text, names, { where, own: true }, warn);
  return hasSerialConsole(lasting) ? lasting : `${lasting.trimEnd()} ${SERIAL_CONSOLE}`;
}

/**
 * A grub.cfg that was made anew since, without what we put in and with the network that we left out. Names by UUID are right at both
 * sites and stay.
 */
export function grubCfgForPrimarySite(text: string, original: string): string {
  const hadConsole = original.includes(SERIAL_CONSOLE);
  const before = original.split('\n');
  const wereOwn = ownKernelLines(before);
  const network = [...new Set(before.filter((_, index) => wereOwn.has(index)).flatMap(primaryNetworkOf))];
  const lines = text.split('\n');
  const own = ownKernelLines(lines);
  return lines
    .map((line, index) => {
      if (!LINUX_LINE.test(line)) return line;
      const undone = hadConsole ? line : line.replaceAll(` ${SERIAL_CONSOLE}`, '');
      return own.has(index) ? withPrimaryNetwork(undone, network) : undone;
    })
    .join('\n');
}

/** Indexes of the lines that hand this system's kernel its arguments: not another system's, and no module that is an initramfs. */
function ownKernelLines(lines: string[]): Set<number> {
  const root = ownRoot(lines);
  const found = new Set<number>();
  let foreign = false;
  for (const [index, line] of lines.entries()) {
    if (ENTRY_LINE.test(line)) foreign = FOREIGN_ENTRY.test(line);
    if (foreign || !LINUX_LINE.test(line)) continue;
    const ofLine = rootOf(line);
    if (ofLine === undefined ? !/^\s*module/.test(line) : ofLine === root) found.add(index);
  }
  return found;
}

/** /etc/default/grub with the serial console, for the next update-grub. It is a shell script: later lines add. */
export function defaultGrubForRecoverySite(text: string, names: DeviceNames, warn: Warn): string {
  return withBlock(grubSettingsForRecoverySite(text, names, warn), [
    `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${SERIAL_CONSOLE}"`,
  ]);
}

/** Settings of update-grub with names that hold on EC2, and none that make it write others into grub.cfg there. */
export function grubSettingsForRecoverySite(text: string, names: DeviceNames, warn: Warn): string {
  const uuids = setAside(text, (line) => /^\s*GRUB_DISABLE_LINUX_UUID=["']?true/.test(line));
  return commentOutWithReplacement(uuids, (line) =>
    /^\s*(export\s+)?GRUB_CMDLINE_LINUX/.test(line)
      ? commandLineForRecoverySite(line, names, { where: DEFAULT_GRUB, own: true }, warn)
      : undefined,
  );
}

/** What this system's own entries call its root: update-grub writes them first, and all alike. */
function ownRoot(lines: string[]): string | undefined {
  let foreign = false;
  for (const line of lines) {
    if (ENTRY_LINE.test(line)) foreign = FOREIGN_ENTRY.test(line);
    const root = !foreign && LINUX_LINE.test(line) ? rootOf(line) : undefined;
    if (root !== undefined) return root;
  }
  return undefined;
}

function rootOf(line: string): string | undefined {
  return /\sroot=(\S+)/.exec(line)?.[1];
}

/**
 * Firmware counts disks in an order of its own, so a disk by its number needs a search by what is on it. Where one
 * follows, as update-grub writes it, the number is only a first guess; a VM with one disk has no other to take.
 */
function searchAfter(lines: string[], index: number, names: DeviceNames): string[] {
  const [, indent = '', disk, partition] = SET_ROOT.exec(lines[index] ?? '') ?? [];
  if (names.disks.length === 1) return [];
  for (const line of lines.slice(index + 1)) {
    if (SEARCH.test(line)) return [];
    if (ENTRY_LINE.test(line) || /^\s*set\s+root=/.test(line) || /^\s*}\s*$/.test(line)) break;
  }
  const uuid = names.uuidForGrub(Number(disk), Number(partition));
  return uuid === undefined ? [] : [`${indent}search --no-floppy --fs-uuid --set=root ${uuid}`];
}

export function hasSerialConsole(line: string): boolean {
  return (
    line
      .split(/\s+/)
      .findLast((argument) => argument.startsWith('console='))
      ?.startsWith('console=ttyS0') ?? false
  );
}
