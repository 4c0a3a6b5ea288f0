import { type DeviceNames } from '../disk/device-names';
import { withBlock } from './marked-text';

/** The last console= is where /dev/console leads, and so what EC2's console output shows. */
const SERIAL_CONSOLE = 'console=tty0 console=ttyS0,115200';

const LINUX_LINE = /^\s*linux(16|efi)?\s/;

/** grub.cfg with the serial console, and with disks by UUID in the kernel's command lines. */
export function grubCfgForRecoverySite(text: string, names: DeviceNames): string {
  return text
    .split('\n')
    .map((line) => {
      if (!LINUX_LINE.test(line)) return line;
      const lasting = withLastingNames(line, names, '/boot/grub/grub.cfg');
      return hasSerialConsole(lasting) ? lasting : `${lasting.trimEnd()} ${SERIAL_CONSOLE}`;
    })
    .join('\n');
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

function hasSerialConsole(line: string): boolean {
  return (
    line
      .split(/\s+/)
      .findLast((argument) => argument.startsWith('console='))
      ?.startsWith('console=ttyS0') ?? false
  );
}

function withLastingNames(line: string, names: DeviceNames, where: string): string {
  return line.replace(/\b(root|resume)=(\/dev\/[^\s"']+)/g, (whole, key: string, device: string) => {
    const lasting = names.lastingName(device, where);
    return lasting === undefined ? whole : `${key}=${lasting}`;
  });
}
