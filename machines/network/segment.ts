import { mkdir, rm } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exists } from '../../host/if-exists';
import { pidRuns, sendSignal } from '../../host/pid-file';
import { ToolFailedError, toolOutput } from '../../host/run-tool';
import { deleteLease, ensureDhcp, restartDhcp, writeLease } from './dhcp';
import { ensureMetadataProxy, METADATA_ADDRESS } from './metadata-proxy-process';
import { ensureRelay } from './relay-process';

/** The networks of one sandbox. Several sandboxes live on one machine; the id keeps them apart. */
export interface SandboxNetwork {
  /** Letters and digits, at most 12: part of the namespaces' names. */
  id: string;
  /** Short (unix sockets are in it, whose paths end at 107 bytes) and gone after a reboot, like the namespaces. */
  runDirectory: string;
}

/** One layer-2 network: a subnet of the VPC, or the network of the data centre. */
export interface SegmentSpec {
  name: string;
  /** Like 10.0.1.0/24. */
  cidr: string;
  /** Address of the bridge; guests see it as their router. Nothing is routed beyond the segment. */
  gateway: string;
  /** Whether guests get their addresses by DHCP, each the one given by `setLease`. */
  dhcp: boolean;
  /** Whether guests find EC2's instance metadata address, behind which {@link metadataSocket} is asked. */
  metadata?: boolean;
}

/**
 * The segment's network namespace. Programs enter it by `nsenter --net`, not `ip netns exec`: the latter gives its
 * program a mount namespace as well, and FUSE exports made in there would be invisible to the rest of the host.
 */
export function namespaceName(network: SandboxNetwork, segmentName: string): string {
  if (!/^[a-z0-9]{1,12}$/.test(network.id)) throw new Error(`"${network.id}" is no sandbox id.`);
  if (!/^[a-z][a-z0-9]{0,15}$/.test(segmentName)) throw new Error(`"${segmentName}" is no segment name.`);
  return `lb-${network.id}-${segmentName}`;
}

/** Path of the unix socket of the segment's relay (HTTP CONNECT). */
export function relaySocket(network: SandboxNetwork, segmentName: string): string {
  return join(segmentDirectory(network, segmentName), 'relay.sock');
}

/** Path of the unix socket on which whoever runs the machines answers for their metadata (metadata-proxy.ts). */
export function metadataSocket(network: SandboxNetwork, segmentName: string): string {
  return join(segmentDirectory(network, segmentName), 'metadata.sock');
}

/** Of the bridge; left alone, a bridge takes its ports' lowest address, and changes it as machines come and go. */
const BRIDGE_MAC = '02:4c:42:00:00:01';

/** Makes the segment and what serves it; repairs what is missing of one that exists. */
export async function ensureSegment(network: SandboxNetwork, spec: SegmentSpec): Promise<void> {
  const namespace = namespaceName(network, spec.name);
  const prefix = prefixLength(spec);
  const directory = segmentDirectory(network, spec.name);
  await mkdir(directory, { recursive: true });
  await tolerating('File exists', () => toolOutput('ip', ['netns', 'add', namespace]));
  await ip(namespace, ['link', 'set', 'lo', 'up']);
  await tolerating('File exists', () => ip(namespace, ['link', 'add', 'br0', 'type', 'bridge']));
  await ip(namespace, ['link', 'set', 'br0', 'address', BRIDGE_MAC]);
  await ip(namespace, ['addr', 'replace', `${spec.gateway}/${prefix}`, 'dev', 'br0']);
  await ip(namespace, ['link', 'set', 'br0', 'up']);
  if (spec.dhcp) await ensureDhcp(namespace, directory, spec);
  if (spec.metadata === true) {
    await ensureMetadataAddress(namespace, spec.cidr);
    await ensureMetadataProxy(namespace, metadataSocket(network, spec.name));
  }
  await ensureRelay(namespace, relaySocket(network, spec.name), spec.cidr);
}

/** Table of the routes that answers of the metadata address take; its number means nothing. */
const METADATA_TABLE = '254169';

/** Answers leave with a TTL of 1, as EC2's tokens do by default: they reach the guest, and nothing that it routes for. */
async function ensureMetadataAddress(namespace: string, cidr: string): Promise<void> {
  await ip(namespace, ['addr', 'replace', `${METADATA_ADDRESS}/32`, 'dev', 'br0']);
  const route = [cidr, 'dev', 'br0', 'table', METADATA_TABLE, 'hoplimit', '1'];
  await ip(namespace, ['route', 'replace', ...route]);
  await tolerating('File exists', () =>
    ip(namespace, ['rule', 'add', 'from', METADATA_ADDRESS, 'lookup', METADATA_TABLE]),
  );
}

/**
 * Removes the segment with every process in it, machines included; stop those first where their data matters.
 * Removing one that does not exist succeeds.
 */
export async function removeSegment(network: SandboxNetwork, segmentName: string): Promise<void> {
  const namespace = namespaceName(network, segmentName);
  if (await exists(`/run/netns/${namespace}`)) {
    await endProcessesIn(namespace);
    await tolerating('No such file', () => toolOutput('ip', ['netns', 'delete', namespace]));
  }
  await rm(segmentDirectory(network, segmentName), { recursive: true, force: true });
}

/** Makes a tap device on the segment's bridge, for a machine's card. */
export async function ensureTap(network: SandboxNetwork, segmentName: string, tap: string): Promise<void> {
  const namespace = namespaceName(network, segmentName);
  checkTapName(tap);
  await tolerating(/File exists|Device or resource busy/, () =>
    ip(namespace, ['tuntap', 'add', 'dev', tap, 'mode', 'tap']),
  );
  await ip(namespace, ['link', 'set', tap, 'master', 'br0', 'up']);
}

/** Removes a tap device; one that does not exist is no error. */
export async function removeTap(network: SandboxNetwork, segmentName: string, tap: string): Promise<void> {
  const namespace = namespaceName(network, segmentName);
  checkTapName(tap);
  await tolerating(/Cannot find device|Cannot open network namespace|No such file/, () =>
    ip(namespace, ['link', 'delete', tap]),
  );
}

/** Gives the card with this MAC address (lower case) this address by DHCP, from its next request on. */
export async function setLease(
  network: SandboxNetwork,
  segmentName: string,
  lease: { mac: string; address: string },
): Promise<void> {
  await writeLease(segmentDirectory(network, segmentName), lease.mac, lease.address);
}

/** Takes a card's address back, so that another card can get it. A card without one is no error. */
export async function removeLease(network: SandboxNetwork, segmentName: string, mac: string): Promise<void> {
  const directory = segmentDirectory(network, segmentName);
  await deleteLease(directory, mac);
  // One restart after another: two at once would both find the old server and both start a new one.
  const restarted = (restarts.get(directory) ?? Promise.resolve())
    .catch(() => {})
    .then(() => restartDhcp(directory));
  restarts.set(directory, restarted);
  await restarted;
}

const restarts = new Map<string, Promise<void>>();

/** Where a segment keeps its sockets, leases and logs. */
export function segmentDirectory(network: SandboxNetwork, segmentName: string): string {
  namespaceName(network, segmentName); // validates both names
  return join(network.runDirectory, segmentName);
}

async function endProcessesIn(namespace: string): Promise<void> {
  // Twice at most: SIGTERM lets QEMU close its images and exports; what has not gone after that is killed.
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const pids = (await toolOutput('ip', ['netns', 'pids', namespace]))
      .split('\n')
      .filter(Boolean)
      .map(Number);
    for (const pid of pids) sendSignal(pid, signal);
    const deadline = Date.now() + 10_000;
    while (Date.now() < deadline && (await anyRuns(pids))) await sleep(50);
  }
}

async function anyRuns(pids: number[]): Promise<boolean> {
  for (const pid of pids) if (await pidRuns(pid, '')) return true;
  return false;
}

function prefixLength(spec: SegmentSpec): number {
  const [, address, bits] = /^([\d.]+)\/(\d{1,2})$/.exec(spec.cidr) ?? [];
  if (!address || !isIPv4(address) || Number(bits) > 30)
    throw new Error(`"${spec.cidr}" is no IPv4 CIDR block.`);
  if (!isIPv4(spec.gateway)) throw new Error(`"${spec.gateway}" is no IPv4 address.`);
  return Number(bits);
}

function checkTapName(tap: string): void {
  // The kernel allows 15 bytes.
  if (!/^[a-z][a-z0-9-]{0,14}$/.test(tap)) throw new Error(`"${tap}" is no name for a tap device.`);
}

function ip(namespace: string, args: string[]): Promise<string> {
  return toolOutput('ip', ['-n', namespace, ...args]);
}

/** Runs a command that may find its work done already, which it says in its error message. */
async function tolerating(message: string | RegExp, command: () => Promise<unknown>): Promise<void> {
  try {
    await command();
  } catch (error) {
    if (!(error instanceof ToolFailedError) || error.stderr.search(message) < 0) throw error;
  }
}
