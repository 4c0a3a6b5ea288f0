import { type GuestFiles } from '../../files/port';
import { globPattern } from '../units';
import { MAX_TEXT_BYTES } from './card';

/**
 * Where guests name a network card or an address of their own besides the configuration of the network itself: firewalls, routing,
 * what serves one card or address only. A directory stands for the files in it, "*" for any name.
 */
const PLACES = [
  '/etc/iptables',
  '/etc/sysconfig/iptables',
  '/etc/sysconfig/ip6tables',
  '/etc/sysconfig/nftables.conf',
  '/etc/nftables.conf',
  '/etc/nftables',
  '/etc/ufw',
  '/etc/firewalld/zones',
  '/etc/firewalld/direct.xml',
  '/etc/shorewall',
  '/etc/sysconfig/SuSEfirewall2',
  '/etc/keepalived',
  '/etc/dnsmasq.conf',
  '/etc/dnsmasq.d',
  '/etc/sysctl.conf',
  '/etc/sysctl.d',
  '/etc/default/isc-dhcp-server',
  '/etc/dhcp',
  '/etc/dhcpcd.conf',
  '/etc/samba/smb.conf',
  '/etc/frr',
  '/etc/quagga',
  '/etc/bird',
  '/etc/ntp.conf',
  '/etc/radvd.conf',
  '/etc/docker/daemon.json',
  '/etc/snmp/snmpd.conf',
  '/etc/rc.local',
  '/etc/network/if-up.d',
  '/etc/network/if-pre-up.d',
  '/etc/NetworkManager/dispatcher.d',
  '/etc/networkd-dispatcher/routable.d',
  '/etc/cron.d',
  '/etc/ssh/sshd_config',
  '/etc/ssh/sshd_config.d',
  '/etc/nginx/nginx.conf',
  '/etc/nginx/conf.d',
  '/etc/nginx/sites-enabled',
  '/etc/apache2/ports.conf',
  '/etc/apache2/sites-enabled',
  '/etc/httpd/conf',
  '/etc/httpd/conf.d',
  '/etc/haproxy/haproxy.cfg',
  '/etc/postgresql/*/*/postgresql.conf',
  '/var/lib/pgsql/data/postgresql.conf',
  '/etc/mysql/my.cnf',
  '/etc/mysql/*.conf.d',
  '/etc/my.cnf',
  '/etc/my.cnf.d',
  '/etc/redis',
  '/etc/bind',
  '/etc/named.conf',
  '/etc/squid/squid.conf',
  '/etc/postfix/main.cf',
];
const MAX_FILES = 300;

export interface NamingFile {
  path: string;
  /** All words that could be a card's name. */
  words: Set<string>;
  /** All IPv4 addresses. */
  addresses: Set<string>;
}

/** The files of those places, with the words in them that could be names; what is larger than a configuration is left out. */
export async function filesNaming(files: GuestFiles): Promise<NamingFile[]> {
  const found: NamingFile[] = [];
  for (const place of await expanded(files)) {
    const names = await files.list(place);
    for (const path of names.length > 0 ? names.map((name) => `${place}/${name}`) : [place]) {
      const real = await files.realpath(path);
      const stat = real === undefined ? undefined : await files.stat(real);
      if (stat?.type !== 'file' || stat.size > MAX_TEXT_BYTES || found.length >= MAX_FILES) continue;
      const text = (await files.read(path, MAX_TEXT_BYTES)).toString('latin1');
      const words = new Set<string>();
      const addresses = new Set<string>();
      for (const line of text.split('\n')) {
        if (/^\s*[#;]/.test(line)) continue;
        // A rule for ens192.100 or "ens192:1" and a sysctl net.ipv4.conf.ens192.rp_filter know ens192, too.
        for (const word of line.match(/[A-Za-z][A-Za-z0-9_-]{1,14}/g) ?? []) words.add(word);
        for (const address of line.match(/\b(?:\d{1,3}\.){3}\d{1,3}\b/g) ?? []) addresses.add(address);
      }
      found.push({ path, words, addresses });
    }
  }
  return found;
}

/** The places with every "*" put out. */
async function expanded(files: GuestFiles): Promise<string[]> {
  let places = PLACES;
  for (let more = true; more;) {
    more = false;
    const next: string[] = [];
    for (const place of places) {
      const [, directory, pattern, rest = ''] = /^(.*?)\/([^/]*\*[^/]*)(\/.*)?$/.exec(place) ?? [];
      if (directory === undefined || pattern === undefined) {
        next.push(place);
        continue;
      }
      more = true;
      const names = (await files.list(directory)).filter((name) => globPattern(pattern).test(name));
      next.push(...names.slice(0, MAX_FILES).map((name) => `${directory}/${name}${rest}`));
    }
    places = next.slice(0, MAX_FILES);
  }
  return places;
}

/** Words that look like a card's name as the kernel and systemd give them. */
export function cardNamesIn(found: NamingFile[]): string[] {
  const names = found.flatMap(({ words }) =>
    [...words].filter((word) =>
      /^(eth\d{1,2}|em\d{1,2}|en[osp]\d[a-z0-9]{0,11}|enx[0-9a-f]{12}|p\d{1,2}p\d{1,2})$/.test(word),
    ),
  );
  return [...new Set(names)];
}
