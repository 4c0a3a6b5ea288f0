import { mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { nodeSuffix } from '../../../machines/hardware';
import { machineIsRunning } from '../../../machines/machine';
import { attach, detach, type DevicePlaces } from './hot-add';
import { isAttached, known, placeOf } from './known';
import { consolidate, layoutOf, revertTo, takeSnapshot } from './layers';
import { Monitors } from './monitors';
import { hasEnded, powerOff, powerOn, removeTaps, type HostNetwork } from './power';
import { Refusal } from './refusal';
import { bottomOf, readState, writeState, type DiskOf, type HostState, type MachineOf } from './state';
import { changedAreas } from './tracking';

/** What vCenter sends with a deed; which parts, the deed says. */
interface Asked {
  machine: MachineOf;
  disk: DiskOf;
  running: boolean;
  snapshot: string;
  tracking: boolean;
  changeId: string;
  startOffset: number;
}

/** How soon vCenter hears that a machine has ended on its own. */
const WATCH_MILLISECONDS = 200;

/** Where machines of a simulated data centre are, by its directory. */
export function machinesIn(directory: string): string {
  return join(directory, 'host', 'machines');
}

/**
 * What an ESXi host does to disks and power, done by QEMU and its tools: one POST a deed on a unix socket. Machines and disks
 * that are shown live on when this process ends, and the next one finds them by what it wrote down.
 */
export class Host {
  private readonly queues = new Map<string, Promise<unknown>>();
  private server: Server | undefined;

  private constructor(
    private readonly state: HostState,
    private readonly stateFile: string,
    readonly monitors: Monitors,
    private readonly places: DevicePlaces,
    private readonly network: HostNetwork | undefined,
    private readonly boots: boolean,
  ) {}

  static async open(options: {
    directory: string;
    runDirectory: string;
    devices: string;
    network?: HostNetwork | undefined;
    boots?: boolean | undefined;
  }): Promise<Host> {
    const { runDirectory, devices, network, boots = true } = options;
    const directory = join(options.directory, 'host');
    const places = { devices, pids: join(directory, 'pids') };
    for (const one of [directory, runDirectory, devices, places.pids]) await mkdir(one, { recursive: true });
    const stateFile = join(directory, 'state.json');
    const monitors = new Monitors(machinesIn(options.directory), runDirectory);
    return new Host(await readState(stateFile), stateFile, monitors, places, network, boots);
  }

  async listen(socket: string): Promise<void> {
    await mkdir(dirname(socket), { recursive: true });
    await rm(socket, { force: true });
    const server = createServer((request, response) => void this.answer(request, response));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
    this.server = server;
  }

  /** Leaves machines and disks as they are. */
  async close(): Promise<void> {
    const { server } = this;
    if (!server) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(this.queues.values());
  }

  /** Takes every machine's power, and the disks that are shown. */
  async end(): Promise<void> {
    for (const machine of Object.values(this.state.machines)) {
      await powerOff(machine, this.monitors);
      await removeTaps(machine.vm, this.network);
    }
    for (const { vm, file } of [...this.state.attachments]) await detach(this.state, vm, file);
    await writeState(this.stateFile, this.state);
  }

  /** Writes bytes through a running machine, named by its name or instance UUID, as its guest would. */
  async writeAsGuest(
    vm: string,
    unit: number,
    offset: number,
    length: number,
    pattern: number,
  ): Promise<void> {
    const machine = Object.values(this.state.machines).find(
      ({ name, instanceUuid }) => name === vm || instanceUuid === vm,
    );
    const disk = machine?.disks.find((one) => one.unit === unit);
    if (!machine || !disk) throw new Error(`No VM "${vm}" with a disk at unit ${unit} has been started.`);
    await this.monitors.run(machine.vm, async (qmp) => {
      const answer = await qmp.execute<string>('human-monitor-command', {
        'command-line': `qemu-io -d drive${nodeSuffix(placeOf(disk))} "write -P ${pattern} ${offset} ${length}"`,
      });
      if (answer !== '') throw new Error(answer); // what it did, it prints elsewhere
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const deed = request.url?.slice(1) ?? '';
      const body = JSON.parse(await text(request)) as Asked | MachineOf;
      const asked = 'machine' in body ? body : ({ machine: body } as Asked);
      const isGone = (): boolean => response.destroyed;
      const result =
        deed === 'wait' ? await this.wait(asked, response) : await this.inTurn(deed, asked, isGone);
      response.end(JSON.stringify(result ?? {}));
    } catch (error) {
      const fault = error instanceof Refusal ? error.fault : undefined;
      if (fault === undefined) console.error(error);
      response.statusCode = 400;
      response.end(JSON.stringify({ fault, message: (error as Error).message }));
    }
  }

  /**
   * Deeds come one after another: disks of one machine are another's, too, when they are attached.
   * @param isGone whether who asked has died: its successor has been told how things are, and a deed after that would belie it
   */
  private inTurn(deed: string, asked: Asked, isGone = (): boolean => false): Promise<unknown> {
    const work = async (): Promise<unknown> => {
      if (isGone()) return undefined;
      try {
        return await this.perform(deed, asked);
      } finally {
        await writeState(this.stateFile, this.state);
      }
    };
    const result = (this.queues.get('all') ?? Promise.resolve()).then(work);
    this.queues.set(
      'all',
      result.catch(() => {}), // who asked is told
    );
    return result;
  }

  private async perform(deed: string, asked: Asked): Promise<unknown> {
    const { state, monitors } = this;
    const machine = known(state, asked.machine);
    switch (deed) {
      case 'resume':
        return this.resume(asked);
      case 'powerOn':
        return powerOn(state, machine, asked.machine, { monitors, network: this.network, boots: this.boots });
      case 'powerOff':
        return powerOff(machine, monitors);
      case 'shutdown':
        return monitors.run(machine.vm, (qmp) => qmp.execute('system_powerdown'));
      case 'snapshot':
        await takeSnapshot(machine, asked.snapshot, asked.tracking, monitors);
        return layoutOf(machine);
      case 'revert':
        await revertTo(state, machine, asked.snapshot);
        return layoutOf(machine);
      case 'unsnapshot':
        delete machine.snapshots[asked.snapshot];
        await consolidate(state, machine, monitors);
        return layoutOf(machine);
      case 'consolidate':
        await consolidate(state, machine, monitors);
        return layoutOf(machine);
      case 'areas': {
        const disk = machine.disks.find(({ chain }) => chain.some(({ file }) => file === asked.disk.file));
        if (!disk) throw new Refusal('FileFault', asked.disk.file);
        return changedAreas(monitors, machine, { ...asked, bottom: bottomOf(disk).file });
      }
      case 'attach':
        return attach(state, asked.machine, asked.disk, asked.running, this.places);
      case 'detach':
        return detach(state, asked.machine.vm, asked.disk.file);
      case 'destroy':
        return this.destroy(asked.machine);
      default:
        throw new Error(`This host does not know how to "${deed}".`);
    }
  }

  /** After vCenter's restart: what there is. What it does not know to be attached was cut off half-way, and is taken back. */
  private async resume({ machine: told, running }: Asked): Promise<unknown> {
    const machine = known(this.state, told);
    for (const { vm, file } of [...this.state.attachments])
      if (vm === told.vm && !told.disks.some((disk) => disk.file === file))
        await detach(this.state, vm, file);
    // After this host's own restart.
    if (told.thisHost && running)
      for (const disk of told.disks)
        if (!isAttached(this.state, disk.file)) await attach(this.state, told, disk, running, this.places);
    if (machine.running && !(await machineIsRunning(this.monitors.directory(machine.vm))))
      await powerOff(machine, this.monitors);
    return layoutOf(machine);
  }

  private async destroy(told: MachineOf): Promise<void> {
    const machine = known(this.state, told);
    for (const { chain } of machine.disks)
      for (const { file } of chain) if (isAttached(this.state, file)) throw new Refusal('FileLocked', file);
    for (const { chain } of machine.disks)
      for (const { file } of chain.slice(1)) await rm(file, { force: true });
    await removeTaps(machine.vm, this.network);
    await rm(this.monitors.directory(machine.vm), { recursive: true, force: true });
    delete this.state.machines[machine.vm];
  }

  /** Answers when the machine has ended, whoever ended it. */
  private async wait(asked: Asked, response: ServerResponse): Promise<unknown> {
    for (;;) {
      if (response.destroyed) return undefined;
      const machine = this.state.machines[asked.machine.vm];
      if (!machine?.running && !asked.machine.thisHost) return {};
      if (machine && !asked.machine.thisHost && (await hasEnded(machine, this.monitors)))
        return this.inTurn('powerOff', asked);
      await sleep(WATCH_MILLISECONDS);
    }
  }
}
