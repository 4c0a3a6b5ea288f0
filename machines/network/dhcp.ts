import { mkdir, readFile, rm } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomically } from '../../host/atomic-file';
import { endProcess, runningPid } from '../../host/pid-file';
import { run } from '../../host/run';

/**
 * DHCP of a segment, by dnsmasq. Every answer follows from the files in `leases/`, one per MAC address; dnsmasq
 * keeps no lease file, so that starting it again forgets all leases, and an address can go to another card.
 */

export interface DhcpSegment {
  name: string;
  cidr: string;
  gateway: string;
}

/** What dhcp.json holds: enough to start the server again. */
interface DhcpSettings {
  namespace: string;
  segment: DhcpSegment;
}

interface Paths {
  leases: string;
  pid: string;
  log: string;
  /** The argument by which the running server is recognised. */
  marker: string;
}

/** Starts the DHCP server of a namespace unless it runs. */
export async function ensureDhcp(namespace: string, directory: string, segment: DhcpSegment): Promise<void> {
  const paths = pathsIn(directory);
  if (await runningPid(paths.pid, paths.marker)) return;
  await mkdir(paths.leases, { recursive: true });
  await writeFileAtomically(
    join(directory, 'dhcp.json'),
    JSON.stringify({ namespace, segment } satisfies DhcpSettings),
  );
  const [networkAddress, bits] = segment.cidr.split('/');
  const started = run('nsenter', [
    `--net=/run/netns/${namespace}`,
    '--',
    'dnsmasq',
    '--conf-file=/dev/null',
    '--port=0', // DHCP only; names are answered by the sandbox's own DNS server
    '--interface=br0',
    '--bind-interfaces',
    '--dhcp-authoritative',
    // Addresses go to the cards in leases/ only; an hour, as Amazon's DHCP servers give.
    `--dhcp-range=${networkAddress},static,${netmask(Number(bits))},1h`,
    `--dhcp-hostsdir=${paths.leases}`,
    `--dhcp-option=option:router,${segment.gateway}`,
    '--dhcp-option=option:dns-server', // none
    '--no-ping', // addresses are unique by construction, and the ping would cost every boot seconds
    '--leasefile-ro',
    '--dhcp-leasefile=/dev/null',
    '--log-dhcp',
    `--log-facility=${paths.log}`,
    `--pid-file=${paths.pid}`,
    '--user=root', // the run directory is root's alone
  ]);
  // Two starters at once: one finds the port taken, and all is well.
  const failure = await started.then(
    () => undefined,
    (error: unknown) => error,
  );
  const deadline = Date.now() + 5_000;
  while (!(await runningPid(paths.pid, paths.marker))) {
    if (Date.now() > deadline) {
      throw failure ?? new Error(`The DHCP server of ${namespace} does not run; see ${paths.log}.`);
    }
    await sleep(20);
  }
}

/** Gives the card with this MAC address this address from now on. */
export async function writeLease(directory: string, mac: string, address: string): Promise<void> {
  if (!isIPv4(address)) throw new Error(`"${address}" is no IPv4 address.`);
  // dnsmasq watches the directory and reads a file that is moved into it.
  await writeFileAtomically(leaseFile(directory, mac), `${mac},${address}\n`);
}

/** Takes a card's address back; one without is no error. */
export async function deleteLease(directory: string, mac: string): Promise<void> {
  await rm(leaseFile(directory, mac), { force: true });
}

/** Starts the DHCP server again, so that it forgets leases whose file is gone. Nothing to do where it never ran. */
export async function restartDhcp(directory: string): Promise<void> {
  const paths = pathsIn(directory);
  const pid = await runningPid(paths.pid, paths.marker);
  if (pid === undefined) return;
  await endProcess(pid, paths.marker);
  const { namespace, segment } = JSON.parse(
    await readFile(join(directory, 'dhcp.json'), 'utf8'),
  ) as DhcpSettings;
  await ensureDhcp(namespace, directory, segment);
}

function leaseFile(directory: string, mac: string): string {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
    throw new Error(`"${mac}" is no MAC address in lower case.`);
  return join(pathsIn(directory).leases, mac.replaceAll(':', '-'));
}

function pathsIn(directory: string): Paths {
  const pid = join(directory, 'dnsmasq.pid');
  return {
    leases: join(directory, 'leases'),
    pid,
    log: join(directory, 'dnsmasq.log'),
    marker: `--pid-file=${pid}`,
  };
}

function netmask(bits: number): string {
  const mask = (0xffffffff << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.');
}
