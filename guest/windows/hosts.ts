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

/** An editor may have changed the line ends of the whole file since. */
function withItsLineEnds(text: string, change: (text: string) => string): string {
  const changed = change(text.replaceAll('\r\n', '\n'));
  return text.includes('\r\n') || text === '' ? changed.replaceAll('\n', '\r\n') : changed;
}
