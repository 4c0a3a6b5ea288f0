import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { writeFileAtomically } from '../../host/atomic-file';
import { readIfExists } from '../../host/if-exists';
import { projectRoot } from '../../host/project-root';
import { shortHash } from '../../hypervisor/local/vm-files';
import { freePort } from '../free-ports';
import { type Control, controlAt } from './control';
import { Host, machinesIn } from './host/host';
import { type HostNetwork } from './host/power';

/** A vCenter that is simulated, with one ESXi host, one datastore, and VMs that have bytes. */
export interface SimulatedVcenter {
  url: string;
  /** SHA-256 of its certificate, in capitals with colons. */
  thumbprint: string;
  /** Path of the certificate (PEM) of the authority that signed it. */
  ca: string;
  user: string;
  password: string;
  /** Stands for /dev/disk/by-id of the VM that this host is in the simulation. */
  deviceDirectory: string;
  datastoreDirectory: string;
  /** BIOS UUID of the VM that stands for this host, which is on and has a paravirtual SCSI controller without disks. */
  proxyUuid: string;
  /** Of a VM's QEMU, by its managed object id: its console, its firmware's variables. */
  machineDirectory(id: string): string;
  /** Makes things go wrong, and puts VMs into the inventory. */
  control: Control;
  /** Ends vCenter, by SIGKILL, and starts it again; machines and disks live on. */
  restart(): Promise<void>;
  /** Ends vCenter, by SIGKILL. */
  kill(): Promise<void>;
  /** Of vCenter's process; undefined while there is none. */
  pid(): number | undefined;
  /** Starts vCenter after it has ended, by {@link kill} or otherwise. */
  start(): Promise<void>;
  /** Ends vCenter and all machines; what is on disk stays. */
  stop(): Promise<void>;
  /** Writes bytes through a running VM, named by its name or its instance UUID, as its guest would. */
  writeAsGuest(vm: string, unit: number, offset: number, length: number, pattern: number): Promise<void>;
}

/** What a client of it has to know, before it has ever run. */
export type SimulatorSettings = Pick<
  SimulatedVcenter,
  'url' | 'ca' | 'user' | 'password' | 'deviceDirectory' | 'proxyUuid'
>;

export interface SimulatorOptions {
  directory: string;
  /** The simulator as it comes, with nothing of ours: no bytes, no proxy. */
  plain?: boolean;
  network?: HostNetwork;
  /** Whether machines' CPUs run; they do unless said so. */
  boots?: boolean;
}

interface Settings {
  port: number;
  user: string;
  password: string;
  proxyUuid: string;
}

/** The program, as `setup/go.mjs` builds it. */
export function simulatorProgram(): string {
  return join(projectRoot(), '.lifeboat', 'tools', 'vcenter', 'vcenter');
}

/** VMware's own command, with which tests ask the simulator; built beside it. */
export function govcProgram(): string {
  return join(projectRoot(), '.lifeboat', 'tools', 'vcenter', 'govc');
}

/** Whether the program has been built; where Go cannot be had, it is not. */
export function simulatorIsBuilt(): boolean {
  return existsSync(simulatorProgram());
}

/** A vCenter told to end does so at once; one that hangs is killed. */
const END_MILLISECONDS = 5_000;

/** Name of the VM that stands for this host. */
export const PROXY_NAME = 'backup-proxy';

/** Starts a vCenter on the directory, or the one that was there. @throws where its program has not been built */
export async function startSimulatedVcenter(options: SimulatorOptions): Promise<SimulatedVcenter> {
  const directory = resolve(options.directory);
  const places = placesIn(directory);
  for (const place of [places.state, places.datastore, places.devices, places.sockets])
    await mkdir(place, { recursive: true, mode: 0o700 });
  const settings = await settingsIn(places.state);
  const hostSocket = join(places.sockets, 'host.sock');
  const { control: controlSocket } = places;
  const { network, boots, plain = false } = options;
  const host = await Host.open({
    directory,
    runDirectory: places.sockets,
    devices: places.devices,
    network,
    boots,
  });
  await host.listen(hostSocket);

  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = await startProgram(
      [
        ...['-listen', `127.0.0.1:${settings.port}`, '-host', hostSocket, '-control', controlSocket],
        ...['-state', places.state, '-datastore', places.datastore],
        ...['-user', settings.user, '-password', settings.password],
        ...(plain ? ['-plain'] : []),
        ...(network ? ['-port-groups', network.portGroups.join(',')] : []),
      ],
      join(directory, 'vcenter.log'),
    );
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ending = child;
    const ended = once(ending, 'exit');
    ending.kill(signal);
    const late = setTimeout(() => ending.kill('SIGKILL'), END_MILLISECONDS);
    await ended;
    clearTimeout(late);
  };
  const control = controlAt(controlSocket);
  const stop = async (): Promise<void> => {
    await end('SIGTERM');
    await host.close();
    await host.end();
    await rm(places.sockets, { recursive: true, force: true });
  };
  try {
    await start();
    if (!plain) await ensureProxy(control, settings.proxyUuid);
  } catch (error) {
    await stop();
    throw error;
  }
  const certificate = new X509Certificate(await readFile(join(places.state, 'vcenter.pem')));
  return {
    ...(await simulatorSettings(directory)),
    thumbprint: certificate.fingerprint256,
    datastoreDirectory: places.datastore,
    machineDirectory: (id) => host.monitors.directory(id),
    control,
    pid: () => (child && child.exitCode === null && child.signalCode === null ? child.pid : undefined),
    start,
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGKILL');
      await start();
    },
    stop,
    writeAsGuest: (vm, unit, offset, length, pattern) => host.writeAsGuest(vm, unit, offset, length, pattern),
  };
}

/** What other processes need to put VMs into a simulated data centre that one process runs. */
export function simulatedDatacenterIn(
  directory: string,
): Pick<SimulatedVcenter, 'control' | 'datastoreDirectory' | 'machineDirectory'> {
  const places = placesIn(resolve(directory));
  return {
    control: controlAt(places.control),
    datastoreDirectory: places.datastore,
    machineDirectory: (id) => join(machinesIn(resolve(directory)), id),
  };
}

/** What clients of the simulated data centre in a directory will find; decided now where it has never run. */
export async function simulatorSettings(directory: string): Promise<SimulatorSettings> {
  const { state, devices } = placesIn(resolve(directory));
  await mkdir(state, { recursive: true, mode: 0o700 });
  const { port, user, password, proxyUuid } = await settingsIn(state);
  return {
    url: `https://127.0.0.1:${port}`,
    ca: join(state, 'ca.pem'),
    user,
    password,
    deviceDirectory: devices,
    proxyUuid,
  };
}

/** Ends machines and disks handed out that a simulator has left behind whose process was killed. */
export async function endSimulatedHost(directory: string): Promise<void> {
  const whole = resolve(directory);
  const { sockets, devices } = placesIn(whole);
  const host = await Host.open({ directory: whole, runDirectory: sockets, devices, boots: false });
  await host.end();
  await rm(sockets, { recursive: true, force: true });
}

function placesIn(directory: string) {
  // Paths of sockets end at 107 bytes, so that they are not below the directory.
  const sockets = `/tmp/lifeboat-vcenter-${shortHash(directory)}`;
  return {
    state: join(directory, 'vcenter'),
    datastore: join(directory, 'datastore'),
    devices: join(directory, 'devices'),
    sockets,
    control: join(sockets, 'control.sock'),
  };
}

async function ensureProxy(control: Control, uuid: string): Promise<void> {
  const option = (key: string) => ({
    _typeName: 'OptionValue',
    key,
    value: { _typeName: 'string', _value: 'TRUE' },
  });
  const controller = {
    _typeName: 'ParaVirtualSCSIController',
    key: -1,
    busNumber: 0,
    sharedBus: 'noSharing',
  };
  if ((await control.lookUp(PROXY_NAME)) !== undefined) return;
  await control.register(
    {
      name: PROXY_NAME,
      uuid,
      guestId: 'debian12_64Guest',
      numCPUs: 2,
      memoryMB: 1024,
      files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[LocalDS_0]' },
      deviceChange: [{ _typeName: 'VirtualDeviceConfigSpec', operation: 'add', device: controller }],
      extraConfig: [option('simulator.thisHost'), option('disk.EnableUUID')],
    },
    { powerOn: true },
  );
}

/** Starts the program, and waits until it answers. */
async function startProgram(args: string[], log: string): Promise<ChildProcess> {
  if (!simulatorIsBuilt()) throw new Error('The simulated vCenter has not been built: node setup/go.mjs');
  const output = await open(log, 'a');
  try {
    // It ends when its standard input does, so that it never outlives this process.
    const child = spawn(simulatorProgram(), args, { stdio: ['pipe', 'pipe', output.fd] });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const ready = once(lines, 'line');
    const ended = once(child, 'exit').then(async () => {
      throw new Error(`The simulated vCenter does not start:\n${(await readFile(log, 'utf8')).slice(-2000)}`);
    });
    await Promise.race([ready, ended]);
    ended.catch(() => {}); // later it may end
    return child;
  } finally {
    await output.close();
  }
}

async function settingsIn(state: string): Promise<Settings> {
  const file = join(state, 'settings.json');
  const found = await readIfExists(file);
  if (found !== undefined) return JSON.parse(found) as Settings;
  const made = {
    // vCenter keeps it over its restarts.
    port: await freePort(),
    user: 'lifeboat@vsphere.local',
    password: createHash('sha256').update(randomUUID()).digest('hex').slice(0, 16),
    proxyUuid: randomUUID(),
  };
  await writeFileAtomically(file, JSON.stringify(made));
  return made;
}
