import { type DeviceNames } from '../../disk/device-names';
import { withoutPrimaryNetwork } from '../network/kernel-arguments';
import { type Warn } from './fstab';

/** Arguments whose value is a disk, as mount calls it: `UUID=…` is taken there. */
const DISK_ARGUMENT = /^(root|resume|boot|mount\.usr)$/;
/** What is after a word of this, up to a quote or the end. */
const ARGUMENT = /(^|[\s"'])([A-Za-z][\w.-]*)=([^\s"']+)/g;

export interface CommandLineOptions {
  /** Where the line stands, for messages. */
  where: string;
  /** Whether it starts this system; of others, only what is certain is touched. */
  own: boolean;
}

/**
 * A kernel's command line, or any text with its arguments, by names that hold on EC2. A resume= of nothing, which an
 * initramfs would wait for, is left out, and so is the primary site's network.
 * @throws GuestNotAdaptableError where the root file system has no name that holds
 */
export function commandLineForRecoverySite(
  text: string,
  names: DeviceNames,
  { where, own }: CommandLineOptions,
  warn: Warn,
): string {
  const here = own ? withoutPrimaryNetwork(text, where, warn) : text;
  return here.replace(ARGUMENT, (whole, before: string, key: string, value: string) => {
    // cryptdevice=/dev/sda2:name, cryptopts=source=/dev/sda2,…: the disk ends where its own punctuation begins.
    const inner = /(?:^|[=,])(\/dev\/[^:,=]+)/.exec(value)?.[1];
    const plain = DISK_ARGUMENT.test(key);
    const device = plain ? kernelsName(value) : inner;
    const verdict = device === undefined ? undefined : names.judge(device);
    // Whatever it is called, this system's root is the one that was found.
    if (key === 'root' && own && verdict !== undefined && verdict.is !== 'lasting')
      return `${before}root=${names.rootName(where, value)}`;
    if (verdict?.is === 'told') {
      if (plain) return `${before}${key}=${verdict.name}`;
      return `${before}${key}=${value.replace(device ?? value, verdict.link)}`;
    }
    if (verdict?.is !== 'lost' || !own) return whole;
    if (key === 'resume') {
      warn(`${where} wakes the guest from ${value}, and ${verdict.why}: that is left out on EC2.`);
      // The blank before goes with the argument; a quote stays.
      return /^\s$/.test(before) ? '' : before;
    }
    warn(`${where} has ${key}=${value}, and ${verdict.why}: it leads nowhere on EC2.`);
    return whole;
  });
}

/** The kernel takes numbers, too: 8:1, and in hex 801 or 0801. */
function kernelsName(value: string): string {
  const hex = /^(?:0x)?0*([0-9a-fA-F]{1,3})([0-9a-fA-F]{2})$/.exec(value);
  if (hex?.[1] === undefined || value.length < 3) return value;
  return `${Number.parseInt(hex[1], 16)}:${Number.parseInt(hex[2] ?? '', 16)}`;
}
