import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { diskNode, type LayerBelow } from '../../../machines/hardware';
import { killMachine, machineIsRunning, startMachine, type MachineDisk } from '../../../machines/machine';
import {
  ensureSegment,
  ensureTap,
  namespaceName,
  removeTap,
  type SandboxNetwork,
  type SegmentSpec,
} from '../../../machines/network/segment';
import { shortHash } from '../../../hypervisor/local/vm-files';
import { isAttached, placeOf } from './known';
import { type Monitors } from './monitors';
import { Refusal } from './refusal';
import { topOf, type Disk, type HostState, type Machine, type MachineOf } from './state';
import { loseTracking, saveBitmaps, watchWrites } from './tracking';

/** The segment that VMs' cards are on, where there is one. */
export interface HostNetwork {
  network: SandboxNetwork;
  segment: SegmentSpec;
  /** Names of the port groups that stand for it; cards on others are connected to nothing. */
  portGroups: string[];
}

/** As many cards as a machine of QEMU's may have here. */
const MAX_NICS = 3;

export async function powerOn(
  state: HostState,
  machine: Machine,
  told: MachineOf,
  site: { monitors: Monitors; network: HostNetwork | undefined; boots: boolean },
): Promise<void> {
  if (told.thisHost || machine.running) return;
  for (const disk of machine.disks) {
    const { file } = topOf(disk);
    const others = Object.values(state.machines).some(
      (one) => one !== machine && one.running && one.disks.some((other) => topOf(other).file === file),
    );
    if (isAttached(state, file) || others) throw new Refusal('FileLocked', file);
  }
  const directory = site.monitors.directory(machine.vm);
  await mkdir(directory, { recursive: true });
  if (told.serialFile !== '') {
    // QEMU's console goes where the VM's serial port does.
    await rm(join(directory, 'console.log'), { force: true });
    await symlink(told.serialFile, join(directory, 'console.log'));
  }
  const nics = await connect(told, site.network);
  await startMachine({
    directory,
    runDirectory: site.monitors.runDirectory,
    name: told.name,
    ...(site.network && nics.length > 0
      ? { namespace: namespaceName(site.network.network, site.network.segment.name) }
      : {}),
    profile: 'vmware',
    firmware: told.firmware === 'efi' ? 'uefi' : 'bios',
    diskController: machine.disks.some(({ controller }) => controller === 'VirtualAHCIController')
      ? 'sata'
      : 'pvscsi',
    cpus: told.cpus,
    memoryMiB: told.memoryMiB,
    disks: machine.disks.map((disk, index) => machineDisk(disk, index === 0)),
    nics,
    paused: !site.boots,
    staysWhenShutDown: true,
  });
  await site.monitors.run(machine.vm, (qmp) => watchWrites(qmp, machine));
  machine.running = true;
}

function machineDisk(disk: Disk, boot: boolean): MachineDisk {
  const { chain, uuid } = disk;
  const place = placeOf(disk);
  const id = uuid.replaceAll('-', '').toLowerCase();
  chain.forEach((layer, index) => {
    layer.node = index === chain.length - 1 ? diskNode(place) : `${diskNode(place)}-below${index}`;
  });
  const { data: path, format } = topOf(disk);
  const below: LayerBelow[] = chain
    .slice(0, -1)
    .toReversed()
    .map((layer) => ({ path: layer.data, format: layer.format, node: layer.node }));
  return { path, format, below, serial: id.slice(0, 20), wwn: id.slice(0, 16), ...place, boot };
}

async function connect(
  told: MachineOf,
  site: HostNetwork | undefined,
): Promise<{ tap: string; mac: string }[]> {
  if (!site) return [];
  const { network, segment, portGroups } = site;
  const nics = told.nics
    .filter((nic) => portGroups.includes(nic.network))
    .map(({ mac }, index) => ({ tap: tapName(told.vm, index), mac }));
  if (nics.length > 0) await ensureSegment(network, segment);
  for (const { tap } of nics) await ensureTap(network, segment.name, tap);
  return nics;
}

export async function removeTaps(vm: string, site: HostNetwork | undefined): Promise<void> {
  if (!site) return;
  for (let index = 0; index < MAX_NICS; index++)
    await removeTap(site.network, site.segment.name, tapName(vm, index));
}

/** Tap names end at 15 characters. */
function tapName(vm: string, index: number): string {
  return `v${shortHash(vm)}${index}`;
}

/** Takes the power away. What was tracked is kept. */
export async function powerOff(machine: Machine, monitors: Monitors): Promise<void> {
  if (!machine.running) return;
  const directory = monitors.directory(machine.vm);
  if (await machineIsRunning(directory)) {
    await monitors.run(machine.vm, (qmp) => qmp.execute('stop'));
    await saveBitmaps(monitors, machine);
    await killMachine(directory);
  } else loseTracking(machine);
  machine.running = false;
}

/** How the machine is: QEMU stays when a guest has shut down, so that what was tracked can be asked for. */
export async function hasEnded(machine: Machine, monitors: Monitors): Promise<boolean> {
  if (!machine.running) return true;
  if (!(await machineIsRunning(monitors.directory(machine.vm)))) return true;
  try {
    const { status } = await monitors.run(machine.vm, (qmp) =>
      qmp.execute<{ status: string }>('query-status'),
    );
    return status === 'shutdown' || status === 'guest-panicked' || status === 'internal-error';
  } catch (error) {
    if (!(await machineIsRunning(monitors.directory(machine.vm)))) return true;
    throw error;
  }
}
