import { hostsForPrimarySite, hostsForRecoverySite } from '../linux/stay/hosts';
import { type HostEntry } from '../port';

/** Windows' hosts file with the names leading to the addresses given; it has the form of /etc/hosts. */
export function windowsHostsForRecoverySite(text: string, hosts: HostEntry[]): string {
  return withItsLineEnds(text, (plain) => hostsForRecoverySite(plain, hosts));
}

/** Undoes {@link windowsHostsForRecoverySite}, whatever else has changed in the file. */
export function windowsHostsForPrimarySite(text: string): string {
  return withItsLineEnds(text, hostsForPrimarySite);
}

/** Whether a hosts file is the original but for our part, which changes with each launch. @param original as it was at the primary site */
export function isUnchangedHosts(text: string, original: string): boolean {
  return plain(windowsHostsForPrimarySite(text)) === plain(original);
}

/** Whether there is nothing but our part in a hosts file. */
export function isOnlyOurs(text: string): boolean {
  return windowsHostsForPrimarySite(text).trim() === '';
}

/** Without what our part brings about in the rest: one kind of line ends, and one at the end. */
function plain(text: string): string {
  const lines = text.replaceAll('\r\n', '\n');
  return lines === '' || lines.endsWith('\n') ? lines : `${lines}\n`;
}

/** An editor may have changed the line ends of the whole file since. */
function withItsLineEnds(text: string, change: (text: string) => string): string {
  const changed = change(text.replaceAll('\r\n', '\n'));
  return text.includes('\r\n') || text === '' ? changed.replaceAll('\n', '\r\n') : changed;
}
