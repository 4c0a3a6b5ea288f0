import { type GuestFiles } from '../../files/port';
import { type ChangePlan } from '../changes/change-plan';
import { setAside, withBlock } from '../changes/marked-text';
import { type Units } from '../units';
import { MAX_TEXT_BYTES } from './card';

export const RESOLV_CONF = '/etc/resolv.conf';

/** Amazon's DNS server, at this address in every VPC ("Amazon DNS server" in the VPC User Guide). */
const AMAZON_DNS_SERVER = '169.254.169.253';
/** A resolver of the guest's own that systemd-resolved is, whatever else listens on loopback addresses. */
const RESOLVED_STUB = /^127\.0\.0\.5[34]$/;
const VOLATILE = /^\/(run|var\/run|tmp|dev)\//;
const MAX_LINKS = 10;

/**
 * Name service at the recovery site. A /etc/resolv.conf that leads to what a daemon writes is left where that daemon
 * learns of the recovery site's name servers by DHCP; where it leads to anything else, a file takes its place.
 */
export async function planResolver(
  files: GuestFiles,
  plan: ChangePlan,
  units: Units,
  byNetworkManager: boolean,
): Promise<void> {
  const hasResolved = units.enabled('systemd-resolved.service');
  if (hasResolved) await planResolved(files, plan);
  const stat = await files.stat(RESOLV_CONF);
  if (stat !== undefined && stat.type !== 'symlink') {
    const text = await plan.text(RESOLV_CONF);
    const local = /^\s*nameserver\s+(127\.\S+|::1)\s*$/m.exec(text ?? '')?.[1];
    if (local !== undefined && !(hasResolved && RESOLVED_STUB.test(local)))
      plan.warn(
        `${RESOLV_CONF} of the guest asks a name server of the guest's own (${local}) first. Where that one asks servers of the data centre, names are found late at the recovery site.`,
      );
    await plan.edit(RESOLV_CONF, (one) => resolvConfForRecoverySite(one, hasResolved));
    return;
  }
  const end = stat === undefined ? undefined : await endOfLinks(files, RESOLV_CONF);
  // Where there is nothing at all, either daemon puts its own there.
  const leadsTo = (place: RegExp) => stat === undefined || (end !== undefined && place.test(end));
  if (hasResolved && leadsTo(/^\/(var\/)?run\/systemd\/resolve\//)) return;
  if (byNetworkManager && leadsTo(/^\/(var\/)?run\/NetworkManager\//)) return;
  // What lies on the disk under /run is not what the guest sees there.
  const lasts = end !== undefined && !VOLATILE.test(end) && (await files.realpath(end)) !== undefined;
  const text = lasts ? (await files.read(end, MAX_TEXT_BYTES)).toString('latin1') : '';
  const changed = resolvConfForRecoverySite(text, hasResolved);
  if (changed === text) return;
  if (stat === undefined) await plan.add(RESOLV_CONF, changed, 0o644);
  else await plan.unlink(RESOLV_CONF, changed);
}

/** Where a chain of links leads, whether anything is there or not; undefined where it is none that ends. */
async function endOfLinks(files: GuestFiles, path: string): Promise<string | undefined> {
  let at = path;
  for (let links = 0; links < MAX_LINKS; links++) {
    if ((await files.stat(at))?.type !== 'symlink') return at;
    const target = await files.readlink(at);
    const parts = (target.startsWith('/') ? target : `${at.slice(0, at.lastIndexOf('/'))}/${target}`).split(
      '/',
    );
    const resolved: string[] = [];
    for (const part of parts) {
      if (part === '..') resolved.pop();
      else if (part !== '' && part !== '.') resolved.push(part);
    }
    at = `/${resolved.join('/')}`;
  }
  return undefined;
}

/** Servers of the data centre would be asked beside those that the card has by DHCP, or in their place. */
async function planResolved(files: GuestFiles, plan: ChangePlan): Promise<void> {
  const paths = ['/etc/systemd/resolved.conf'];
  for (const name of await files.list('/etc/systemd/resolved.conf.d'))
    if (name.endsWith('.conf')) paths.push(`/etc/systemd/resolved.conf.d/${name}`);
  for (const path of paths)
    await plan.edit(path, (text) =>
      setAside(text, (line) => /^\s*DNS\s*=\s*\S/.test(line) && !/^\s*DNS\s*=\s*127\./.test(line)),
    );
}

/** The data centre's name servers are not there, nor are those that a name server of the guest's own asks. */
export function resolvConfForRecoverySite(text: string, hasResolved = true): string {
  const local: string[] = [];
  const kept = setAside(text, (line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    if (server !== undefined && /^(127\.|::1$)/.test(server)) local.push(server);
    return server !== undefined && !/^(127\.|::1$)/.test(server);
  });
  // systemd-resolved has its servers from DHCP; another server on loopback may have them in its own configuration.
  const suffices = local.length > 0 && (hasResolved ? local.some((one) => RESOLVED_STUB.test(one)) : false);
  return suffices && kept === text ? text : withBlock(kept, [`nameserver ${AMAZON_DNS_SERVER}`]);
}
