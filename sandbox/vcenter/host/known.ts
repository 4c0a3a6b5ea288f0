import { type ControllerKind, type DiskPlace } from '../../../machines/disk-place';
import {
  bottomOf,
  flatFile,
  newTracking,
  type Disk,
  type DiskOf,
  type HostState,
  type Machine,
  type MachineOf,
} from './state';

/** A guest's own controller has this id on a SCSI bus. */
const CONTROLLER_UNIT = 7;

/** The machine, with the disks that vCenter says it has; what is known of a disk stays for as long as it is there. */
export function known(state: HostState, told: MachineOf): Machine {
  const machine = (state.machines[told.vm] ??= {
    vm: told.vm,
    name: told.name,
    instanceUuid: told.instanceUuid,
    disks: [],
    snapshots: {},
    serial: 0,
    running: false,
  });
  Object.assign(machine, { name: told.name, instanceUuid: told.instanceUuid });
  if (told.thisHost) return machine;
  machine.disks = told.disks.map((disk) => {
    const before = machine.disks.find(({ chain }) => chain.some(({ file }) => file === disk.file));
    return before ? Object.assign(before, disk) : newDisk(disk);
  });
  assignSlots(machine.disks);
  return machine;
}

function newDisk(disk: DiskOf): Disk {
  const bottom = {
    file: disk.file,
    data: flatFile(disk.file),
    format: 'raw' as const,
    node: '',
    intervals: [],
  };
  return { ...disk, chain: [bottom], slot: disk.unit, tracking: newTracking() };
}

const KINDS: Record<string, ControllerKind> = {
  ParaVirtualSCSIController: 'pvscsi',
  // QEMU has no such chip as VMware's, and the bytes are the same on another.
  VirtualLsiLogicController: 'lsisas',
  VirtualLsiLogicSASController: 'lsisas',
  VirtualAHCIController: 'sata',
  VirtualNVMEController: 'nvme',
};

/** Where the machine has the disk. */
export function placeOf({ controller, bus, unit }: Disk): Required<DiskPlace> {
  const kind = KINDS[controller];
  if (kind === undefined) throw new Error(`The simulated host has no controller ${controller}.`);
  return { controller: { kind, bus }, slot: unit };
}

/** A unit is its slot; disks of further controllers take those that are left. */
function assignSlots(disks: Disk[]): void {
  const taken = new Set<number>([CONTROLLER_UNIT]);
  const ordered = [...disks].sort((a, b) => a.bus - b.bus);
  for (const disk of ordered) {
    let slot = disk.unit;
    while (taken.has(slot)) slot = (slot + 1) % 16;
    taken.add(slot);
    disk.slot = slot;
  }
}

/** The disk that a file belongs to, whichever VM has it. */
export function ownerOf(state: HostState, file: string): { machine: Machine; disk: Disk } | undefined {
  for (const machine of Object.values(state.machines))
    for (const disk of machine.disks)
      if (disk.chain.some((layer) => layer.file === file)) return { machine, disk };
  return undefined;
}

/** Whether the file is attached to the machine that this process runs on. */
export function isAttached(state: HostState, file: string): boolean {
  return state.attachments.some((one) => one.file === file);
}

export function diskOfBottom(machine: Machine, bottom: string): Disk | undefined {
  return machine.disks.find((disk) => bottomOf(disk).file === bottom);
}
