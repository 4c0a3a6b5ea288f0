import { type DeviceNames } from '../../disk/device-names';
import { type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { type ChangePlan } from '../changes/change-plan';
import {
  argumentsForRecoverySite,
  defaultGrubForRecoverySite,
  grubCfgForPrimarySite,
  grubCfgForRecoverySite,
  grubSettingsForRecoverySite,
  hasSerialConsole,
  SERIAL_CONSOLE,
} from './grub';
import { commandLineForRecoverySite } from '../disks/kernel-command-line';
import { primaryNetworkOf, withPrimaryNetwork } from '../network/kernel-arguments';
import { type BlsEntry, readBlsEntries } from './bls';
import { grubenvFiles, readGrubText } from './grub-files';
import { GRUBENV_BYTES, parseGrubenv, withGrubenvValue } from './grubenv';
import { type BootState } from './kernels';

/** Where kernel-install (RHEL 9, Fedora, systemd) takes a new kernel's arguments from. */
const KERNEL_CMDLINE = '/etc/kernel/cmdline';
const DEFAULT_GRUB = '/etc/default/grub';
/** RHEL 8's entries name this variable of grubenv. */
const KERNELOPTS = 'kernelopts';
const OPTIONS_LINE = /^options\s/;

/** The kernel's arguments wherever this guest keeps them: for the kernels that it has, and for those that it will get. */
export async function planCommandLines(
  files: GuestFiles,
  plan: ChangePlan,
  names: DeviceNames,
  boot: BootState,
): Promise<void> {
  const warn = (sentence: string): void => plan.warn(sentence);
  for (const path of boot.grubConfigs) {
    const bootLine = boot.chosen?.source === path ? boot.chosen.line : undefined;
    await plan.edit(path, (text) => grubCfgForRecoverySite(text, names, { path, bootLine, warn }));
  }
  let kernelopts = '';
  for (const path of await grubenvFiles(files)) {
    await plan.edit(path, (text) => grubenvForRecoverySite(text, names, path, warn));
    kernelopts = parseGrubenv((await plan.text(path)) ?? '').get(KERNELOPTS) ?? kernelopts;
  }
  for (const entry of boot.blsEntries) {
    if (/(^|-)0-rescue(-|$)/.test(entry.id)) continue;
    await unlessItBoots(entry.source === boot.chosen?.source, entry, warn, () =>
      plan.edit(entry.source, (text) => blsEntryForRecoverySite(text, names, entry, kernelopts, warn)),
    );
  }
  await plan.edit(KERNEL_CMDLINE, (text) =>
    firstLine(text, (line) => argumentsForRecoverySite(line, names, KERNEL_CMDLINE, warn)),
  );
  await plan.edit(DEFAULT_GRUB, (text) => defaultGrubForRecoverySite(text, names, warn));
  for (const name of await files.list(`${DEFAULT_GRUB}.d`)) {
    if (!name.endsWith('.cfg')) continue;
    await plan.edit(`${DEFAULT_GRUB}.d/${name}`, (text) => grubSettingsForRecoverySite(text, names, warn));
  }
}

/** Whether {@link argumentsForPrimarySite} undoes what was done to a file. */
export function isCommandLineFile(path: string): boolean {
  return path === KERNEL_CMDLINE || path.startsWith('/boot/');
}

/** A file with kernel arguments that has changed since, without what we put in, and with the network that we left out. */
export function argumentsForPrimarySite(path: string, text: string, original: string): string {
  if (path.endsWith('/grub.cfg')) return grubCfgForPrimarySite(text, original);
  const undone = original.includes(SERIAL_CONSOLE) ? text : text.replaceAll(` ${SERIAL_CONSOLE}`, '');
  const network = primaryNetworkOf(original);
  if (path.endsWith('/grubenv')) return grubenvForPrimarySite(undone.padEnd(text.length, '#'), network);
  return path === KERNEL_CMDLINE
    ? firstLine(undone, (line) => withPrimaryNetwork(line, network))
    : optionsWithNetwork(undone, network);
}

/** A block that has no room for them goes without: the entries of the menu are GRUB's own then, too. */
function grubenvForPrimarySite(text: string, network: string[]): string {
  const kernelopts = parseGrubenv(text).get(KERNELOPTS);
  if (kernelopts === undefined || network.length === 0) return text;
  return withGrubenvValue(text, KERNELOPTS, withPrimaryNetwork(kernelopts, network)) ?? text;
}

/** A boot entry's last line of options has them. */
function optionsWithNetwork(text: string, network: string[]): string {
  const lines = text.split('\n');
  const last = lines.findLastIndex((line) => OPTIONS_LINE.test(line));
  return lines.map((line, index) => (index === last ? withPrimaryNetwork(line, network) : line)).join('\n');
}

/**
 * Takes our console out of boot entries that were made at the recovery site, from arguments that had it by us, and puts the network
 * in that those lacked by us.
 * @param restored paths of files that are as they were before
 * @returns paths of the entries
 */
export async function cleanNewEntries(files: GuestFiles, restored: ReadonlySet<string>): Promise<string[]> {
  const sources = [KERNEL_CMDLINE, ...(await grubenvFiles(files))].filter((path) => restored.has(path));
  const texts: string[] = [];
  for (const path of sources) texts.push((await readGrubText(files, path)) ?? SERIAL_CONSOLE);
  const ourConsole = texts.some((text) => !text.includes(SERIAL_CONSOLE));
  const network = [...new Set(texts.flatMap(primaryNetworkOf))];
  if (!ourConsole && network.length === 0) return [];
  const cleaned: string[] = [];
  for (const { source } of await readBlsEntries(files)) {
    if (restored.has(source)) continue;
    const text = (await readGrubText(files, source)) ?? '';
    const undone = ourConsole ? argumentsForPrimarySite(source, text, '') : text;
    // Entries that take their arguments from grubenv get them there.
    const changed = text.includes(`$${KERNELOPTS}`) ? undone : optionsWithNetwork(undone, network);
    if (changed === text) continue;
    await files.write(source, Buffer.from(changed, 'latin1'));
    cleaned.push(source);
  }
  return cleaned;
}

/** Not the guest's own file where it cannot be had: what does not boot is none of a failover's business. */
async function unlessItBoots(
  boots: boolean,
  entry: BlsEntry,
  warn: (sentence: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof GuestNotAdaptableError) || boots) throw error;
    warn(
      `The boot entry ${entry.source}, which is not the one that boots, was left as it is: ${error.message}`,
    );
  }
}

/** Variables in it are expanded by GRUB; the console that grubenv gives need not be given again. */
function blsEntryForRecoverySite(
  text: string,
  names: DeviceNames,
  entry: BlsEntry,
  kernelopts: string,
  warn: (sentence: string) => void,
): string {
  const hasConsole = hasSerialConsole(entry.options.replaceAll(`$${KERNELOPTS}`, kernelopts));
  const lines = text.split('\n');
  const last = lines.findLastIndex((line) => OPTIONS_LINE.test(line));
  return lines
    .map((line, index) => {
      if (!OPTIONS_LINE.test(line)) return line;
      const lasting = commandLineForRecoverySite(line, names, { where: entry.source, own: true }, warn);
      return index === last && !hasConsole ? `${lasting.trimEnd()} ${SERIAL_CONSOLE}` : lasting;
    })
    .join('\n');
}

/** A block that has no room for the console goes without; the entries get it then. */
function grubenvForRecoverySite(
  text: string,
  names: DeviceNames,
  path: string,
  warn: (sentence: string) => void,
): string {
  const kernelopts = parseGrubenv(text).get(KERNELOPTS);
  if (kernelopts === undefined) return text;
  const changed = withGrubenvValue(text, KERNELOPTS, argumentsForRecoverySite(kernelopts, names, path, warn));
  if (changed === undefined)
    warn(
      `${path} of the guest has no room within its ${GRUBENV_BYTES} bytes for the arguments of EC2; kernels installed there lack a serial console.`,
    );
  return changed ?? text;
}

function firstLine(text: string, change: (line: string) => string): string {
  const end = text.indexOf('\n');
  return end === -1 ? change(text) : change(text.slice(0, end)) + text.slice(end);
}
