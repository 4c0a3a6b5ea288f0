import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dialThroughRelay, RelayRefusedError } from '../../../machines/network/dial';
import { publish } from '../../../machines/network/publish';
import {
  ensureTap,
  namespaceName,
  relaySocket,
  removeLease,
  removeTap,
  setLease,
} from '../../../machines/network/segment';
import {
  consoleOutput,
  killMachine,
  machineIsRunning,
  pauseMachine,
  powerDown,
  resumeMachine,
  screenshot,
  startMachine,
  wakeUp,
} from '../../../machines/machine';
import { type AwsEndpointConfig } from '../config';
import { type InstanceMachine, type InstanceRunner } from './runner';

/** A tap's name has 15 characters at most; an instance's id is longer. */
const tapName = (instanceId: string): string =>
  `ec${createHash('sha256').update(instanceId).digest('hex').slice(0, 12)}`;

/** EBS volumes show their id as the serial number of the NVMe device, without the hyphen. */
const serial = (volumeId: string): string => volumeId.replace('-', '');

/** Nothing listens there ("discard", RFC 863): whatever a guest answers, it has told its hardware address before. */
const DISCARD_PORT = 9;

/** Instances as QEMU machines on the sandbox's segments. Machines outlive the endpoint, which finds them again. */
export function qemuRunner(
  config: Pick<AwsEndpointConfig, 'directory' | 'network'>,
  log: (message: string, error: unknown) => void,
): InstanceRunner {
  const { network } = config;
  const directoryOf = (instanceId: string): string => join(config.directory, 'ec2', 'machines', instanceId);
  const pauses = new Map<string, Promise<void>>();
  const published = new Map<string, { close(): Promise<void> }[]>();

  async function unpublish(instanceId: string): Promise<void> {
    const ports = published.get(instanceId) ?? [];
    published.delete(instanceId);
    await Promise.all(ports.map((port) => port.close()));
  }

  async function publishPorts(machine: InstanceMachine): Promise<void> {
    await unpublish(machine.instanceId);
    if (machine.published === undefined) return;
    const { address, ports } = machine.published;
    const open: { close(): Promise<void> }[] = [];
    published.set(machine.instanceId, open);
    for (const port of ports)
      open.push(
        await publish({
          address,
          port,
          relaySocket: relaySocket(network, machine.nic.segment),
          targetAddress: machine.nic.address,
          targetPort: port,
        }),
      );
  }

  async function paused<T>(instanceId: string, work: () => Promise<T>): Promise<T> {
    if (!(await machineIsRunning(directoryOf(instanceId)))) return work();
    await pauseMachine(directoryOf(instanceId));
    try {
      return await work();
    } finally {
      await resumeMachine(directoryOf(instanceId));
    }
  }

  return {
    hotPlug: false,

    async start(machine) {
      const { instanceId, nic } = machine;
      const tap = tapName(instanceId);
      await setLease(network, nic.segment, { mac: nic.mac, address: nic.address });
      await ensureTap(network, nic.segment, tap);
      await startMachine({
        directory: directoryOf(instanceId),
        runDirectory: network.runDirectory,
        name: instanceId,
        namespace: namespaceName(network, nic.segment),
        profile: 'ec2',
        firmware: machine.firmware,
        cpus: machine.cpus,
        memoryMiB: machine.memoryMiB,
        disks: machine.disks.map(({ path, volumeId, root }, slot) => ({
          path,
          format: 'raw',
          serial: serial(volumeId),
          slot,
          boot: root,
        })),
        nics: [{ tap, mac: nic.mac }],
      });
      await publishPorts(machine);
    },

    isRunning: (instanceId) => machineIsRunning(directoryOf(instanceId)),

    async adopt(machine) {
      if (!(await machineIsRunning(directoryOf(machine.instanceId)))) return false;
      // Killed in the middle of a snapshot, the endpoint left the machine paused; on a running one this does nothing.
      await resumeMachine(directoryOf(machine.instanceId));
      await publishPorts(machine);
      return true;
    },

    async powerDown(instanceId, timeoutSeconds) {
      return powerDown(directoryOf(instanceId), timeoutSeconds);
    },

    async kill(instanceId) {
      if (existsSync(directoryOf(instanceId))) await killMachine(directoryOf(instanceId));
    },

    async release({ instanceId, nic }) {
      await unpublish(instanceId);
      try {
        await removeTap(network, nic.segment, tapName(instanceId));
        await removeLease(network, nic.segment, nic.mac);
      } catch (error) {
        // The segment may be gone with the whole sandbox; the instance still has to come to rest.
        log(`the network of ${instanceId} could not be taken away`, error);
      }
    },

    async forget(instanceId) {
      pauses.delete(instanceId);
      await unpublish(instanceId);
      await rm(directoryOf(instanceId), { recursive: true, force: true });
    },

    whilePaused(instanceId, work) {
      // One after another: the end of one pause would let the guest write into the other's snapshot.
      const before = pauses.get(instanceId) ?? Promise.resolve();
      const result = before.then(() => paused(instanceId, work));
      const ended = result.then(
        () => {},
        () => {}, // the caller gets the error; those who wait only need the end
      );
      pauses.set(instanceId, ended);
      return result;
    },

    async console(instanceId) {
      return existsSync(directoryOf(instanceId)) ? consoleOutput(directoryOf(instanceId)) : Buffer.alloc(0);
    },

    async screen(instanceId, wakesUp) {
      if (wakesUp) await wakeUp(directoryOf(instanceId));
      return screenshot(directoryOf(instanceId));
    },

    async answersArp({ instanceId, nic }) {
      if (!(await machineIsRunning(directoryOf(instanceId)))) return false;
      try {
        (await dialThroughRelay(relaySocket(network, nic.segment), nic.address, DISCARD_PORT)).destroy();
        return true;
      } catch (error) {
        if (!(error instanceof RelayRefusedError)) throw error;
        // Refused, or dropped by a firewall: the kernel knew where to send it. Without an answer to ARP it says this.
        return !error.message.includes('EHOSTUNREACH');
      }
    },

    async close() {
      await Promise.all([...published.keys()].map(unpublish));
    },
  };
}
