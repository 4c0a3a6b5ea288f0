import { type DeviceNames } from '../disk/device-names';
import { GuestNotAdaptableError } from '../port';
import { withBlock } from './marked-text';

/** The last console= is where /dev/console leads, and so what EC2's console output shows. */
export const SERIAL_CONSOLE = 'console=tty0 console=ttyS0,115200';

const LINUX_LINE = /^\s*linux(16|efi)?\s/;

/** One grub.cfg of a guest, and the line in it that boots the guest; undefined where that is not known. */
export interface GrubCfg {
  path: string;
  bootLine: string | undefined;
  warn: (sentence: string) => void;
}

/**
 * grub.cfg with the serial console, and with disks by UUID in the kernel's command lines.
 * @throws GuestNotAdaptableError where the line that boots names a disk that cannot be found; others are left with a warning
 */
export function grubCfgForRecoverySite(text: string, names: DeviceNames, cfg: GrubCfg): string {
  const boots = cfg.bootLine ?? text.split('\n').find((line) => LINUX_LINE.test(line));
  return text
    .split('\n')
    .map((line) => {
      if (!LINUX_LINE.test(line)) return line;
      try {
        return argumentsForRecoverySite(line, names, cfg.path);
      } catch (error) {
        // Entries for systems on other disks stay in a menu for years after the disks have gone.
        if (!(error instanceof GuestNotAdaptableError) || line.trim() === boots?.trim()) throw error;
        cfg.warn(
          `An entry of the boot menu that is not the one that boots was left as it is: ${error.message}`,
        );
        return line;
      }
    })
    .join('\n');
}

/** Kernel arguments with the serial console, and with disks by UUID. @param where the file, for messages */
export function argumentsForRecoverySite(text: string, names: DeviceNames, where: string): string {
  const lasting = withLastingNames(text, names, where);
  return hasSerialConsole(lasting) ? lasting : `${lasting.trimEnd()} ${SERIAL_CONSOLE}`;
}

/** A grub.cfg that was made anew since, without what we put in. Names by UUID are right at both sites and stay. */
export function grubCfgForPrimarySite(text: string, original: string): string {
  if (original.includes(SERIAL_CONSOLE)) return text;
  return text
    .split('\n')
    .map((line) => (LINUX_LINE.test(line) ? line.replaceAll(` ${SERIAL_CONSOLE}`, '') : line))
    .join('\n');
}

/** /etc/default/grub with the serial console, for the next update-grub. It is a shell script: later lines add. */
export function defaultGrubForRecoverySite(text: string, names: DeviceNames): string {
  const lasting = text
    .split('\n')
    .map((line) =>
      /^\s*GRUB_CMDLINE_LINUX/.test(line) ? withLastingNames(line, names, '/etc/default/grub') : line,
    )
    .join('\n');
  return withBlock(lasting, [`GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${SERIAL_CONSOLE}"`]);
}

export function hasSerialConsole(line: string): boolean {
  return (
    line
      .split(/\s+/)
      .findLast((argument) => argument.startsWith('console='))
      ?.startsWith('console=ttyS0') ?? false
  );
}

/** Kernel arguments with disks by UUID. */
export function withLastingNames(line: string, names: DeviceNames, where: string): string {
  return line.replace(/\b(root|resume)=(\/dev\/[^\s"']+)/g, (whole, key: string, device: string) => {
    const lasting = names.lastingName(device, where);
    return lasting === undefined ? whole : `${key}=${lasting}`;
  });
}
