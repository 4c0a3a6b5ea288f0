import { type Accelerator } from './accelerator';
import {
  busOf,
  byPlace,
  controllerName,
  type ControllerKind,
  type DiskPlace,
  nameControllers,
  placeConflict,
  SCSI_CONTROLLER_SLOT,
} from './disk-place';

/** An image that another one builds on: what that one does not hold is read from it. */
export interface LayerBelow {
  path: string;
  format: 'raw' | 'qcow2';
  /** Of its node in QEMU's block graph, for the commands of the monitor. */
  node: string;
}

/** A disk of a machine; on the first controller of the machine's kind where it names none. */
export interface MachineDisk extends DiskPlace {
  path: string;
  format: 'raw' | 'vmdk' | 'qcow2';
  /** What the image builds on, the nearest first; nothing where absent. */
  below?: LayerBelow[];
  /** What the guest reads as the disk's serial number; 20 characters at most (NVMe). */
  serial: string;
  /** What it says of itself to SCSI and SATA beside that: 16 hexadecimal digits, unique in the world. */
  wwn?: string;
  /** Whether the firmware boots from it. */
  boot: boolean;
}

/**
 * What the disks of a `vmware` machine can be on, as far as QEMU has it: its `lsi53c895a` is another chip than VMware's
 * LSI Logic Parallel, with another driver, and it has none of BusLogic. Debian's UEFI firmware for QEMU has no driver for
 * `pvscsi`, so that a UEFI machine only boots from `sata` or `nvme`.
 */
export const MACHINE_CONTROLLERS = ['pvscsi', 'lsisas', 'sata', 'nvme'] as const satisfies ControllerKind[];
export type MachineController = (typeof MACHINE_CONTROLLERS)[number];

/** What a machine is made of. */
export interface MachineHardware {
  name: string;
  /**
   * `vmware`: disks on SCSI, SATA or NVMe controllers and vmxnet3 cards, as vSphere has them. `ec2`: one
   * NVMe controller a disk, as on Nitro; virtio-net stands in for the ENA card, which QEMU does not have.
   */
  profile: 'vmware' | 'ec2';
  /** Of a `vmware` machine; `pvscsi` unless said otherwise. */
  diskController?: MachineController;
  firmware: 'bios' | 'uefi';
  cpus: number;
  memoryMiB: number;
  disks: MachineDisk[];
  nics: { tap: string; mac: string }[];
}

/** Name of a disk's node in QEMU's block graph, for the commands of its monitor. */
export function diskNode(place: DiskPlace): string {
  return `disk${nodeSuffix(place)}`;
}

/** What tells a disk from the machine's others in QEMU's names; 8 characters at most, as names there are short. */
export function nodeSuffix(place: DiskPlace): string {
  return place.controller === undefined ? String(place.slot) : `${controllerName(place)}-${place.slot}`;
}

/** The last slot on each kind. QEMU's AHCI has six ports, and its 1068 eight. */
const LAST_SLOT: Record<MachineController, number> = { pvscsi: 15, lsisas: 7, sata: 5, nvme: 14 };

/** QEMU's options for the hardware; `flash` are the files of a UEFI machine. */
export function hardwareArguments(
  machine: MachineHardware,
  accelerator: Accelerator,
  flash: { code: string; variables: string } | undefined,
): string[] {
  check(machine);
  return [
    // The name in parts would be read as options: a comma is doubled.
    ...['-name', machine.name.replaceAll(',', ',,')],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-accel', accelerator.accel, '-cpu', accelerator.cpu],
    ...['-smp', String(machine.cpus), '-m', String(machine.memoryMiB)],
    ...(flash ? flashArguments(flash) : []),
    ...machine.disks.flatMap((disk) => blockArguments(disk, machine.profile)),
    ...(machine.profile === 'vmware' ? vmwareArguments(machine) : ec2Arguments(machine)),
  ];
}

function vmwareArguments(machine: MachineHardware): string[] {
  return [
    ...['-machine', 'q35'],
    // Without this, slots of hot-pluggable ports count from ACPI's numbering, and the card would not be ens192.
    ...['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'],
    ...diskArguments(machine),
    ...machine.nics.flatMap((nic, index) => [
      ...tapArguments(nic.tap, index),
      // VMware's slots: the first card is ens192, the next ens224, and so on.
      ...device({
        driver: 'pcie-root-port',
        id: `port${192 + 32 * index}`,
        slot: 192 + 32 * index,
        chassis: 2 + index,
      }),
      ...device({
        driver: 'vmxnet3',
        netdev: `net${index}`,
        mac: nic.mac,
        bus: `port${192 + 32 * index}`,
        romfile: '',
      }),
    ]),
  ];
}

/** The controllers, each in a port of its own, in the order of their buses, with their disks. */
function diskArguments(machine: MachineHardware): string[] {
  const first = { kind: controllerOf(machine), bus: 0 };
  const placed = ({ slot, controller = first }: DiskPlace) => ({ slot, controller });
  const byController = Map.groupBy(
    machine.disks.toSorted((a, b) => byPlace(placed(a), placed(b))),
    (disk) => controllerName(placed(disk)),
  );
  // A VM without disks has a controller all the same, for those that come.
  if (machine.disks.length === 0) byController.set(controllerName({ controller: first }), []);
  return [...byController].flatMap(([name, disks], index) => {
    const { kind } = disks[0]?.controller ?? first;
    return [
      ...controllerArguments(name, kind, index),
      ...disks.flatMap((disk) => device(attachedDisk(machine, name, kind, disk))),
    ];
  });
}

function controllerArguments(name: string, kind: ControllerKind, index: number): string[] {
  // The chipset's own.
  if (name === 'sata0') return [];
  // VMware's slot of the first; those of further ones come after the network cards'. So do the chassis.
  const slot = index === 0 ? 160 : 288 + 32 * index;
  const port = `port${slot}`;
  const driver = CONTROLLER_DRIVERS[kind];
  if (driver === undefined) throw new Error(`A machine here has no controller of the kind ${kind}.`);
  return [
    ...device({ driver: 'pcie-root-port', id: port, slot, chassis: index === 0 ? 1 : 4 + index }),
    ...device({ driver, id: name, bus: port, ...(kind === 'nvme' ? { serial: name } : {}) }),
  ];
}

const CONTROLLER_DRIVERS: Partial<Record<ControllerKind, string>> = {
  pvscsi: 'pvscsi',
  lsisas: 'mptsas1068',
  sata: 'ahci',
  nvme: 'nvme',
} satisfies Record<MachineController, string>;

function attachedDisk(
  machine: MachineHardware,
  controller: string,
  kind: ControllerKind,
  disk: MachineDisk,
): Record<string, unknown> {
  const common = vmwareDisk(machine, disk);
  // A namespace has no serial number of its own: on VMware, too, its controller has one.
  if (kind === 'nvme') return { driver: 'nvme-ns', bus: controller, nsid: disk.slot + 1, ...common };
  const named = { ...common, serial: disk.serial, ...wwn(disk) };
  if (kind !== 'sata') return { driver: 'scsi-hd', bus: `${controller}.0`, 'scsi-id': disk.slot, ...named };
  return { driver: 'ide-hd', bus: `${controller === 'sata0' ? 'ide' : controller}.${disk.slot}`, ...named };
}

const wwn = (disk: MachineDisk): { wwn?: unknown } =>
  disk.wwn === undefined ? {} : { wwn: wholeNumber(disk.wwn) };

function vmwareDisk({ firmware }: MachineHardware, disk: MachineDisk): Record<string, unknown> {
  return {
    id: `drive${nodeSuffix(disk)}`,
    drive: diskNode(disk),
    // UEFI goes by the boot entries in its own memory, as VMware's does: QEMU's order would come before them.
    ...(firmware === 'uefi' ? {} : bootIndex(disk)),
  };
}

function controllerOf({ diskController }: MachineHardware): MachineController {
  return diskController ?? 'pvscsi';
}

function ec2Arguments({ disks, nics }: MachineHardware): string[] {
  return [
    ...['-machine', 'pc'],
    // A Nitro instance has a plain VGA card as PCI device 3. Nobody looks at it but whoever asks for a picture of it.
    ...device({ driver: 'VGA', addr: '3' }),
    // On Nitro the root disk is PCI device 4 and the first card is 5 (ens5); other disks come after those.
    ...disks.flatMap((disk) =>
      device({
        driver: 'nvme',
        id: `drive${disk.slot}`,
        drive: diskNode(disk),
        serial: disk.serial,
        addr: (disk.slot === 0 ? 4 : 5 + disk.slot).toString(16),
        ...bootIndex(disk),
      }),
    ),
    ...nics.flatMap((nic, index) => [
      ...tapArguments(nic.tap, index),
      ...device({
        driver: 'virtio-net-pci',
        netdev: `net${index}`,
        mac: nic.mac,
        addr: (index === 0 ? 5 : 0x1c + index).toString(16),
        romfile: '',
      }),
    ]),
  ];
}

/** What keeps a disk image from reading another file that its own bytes name as what lies below it. */
export function withoutBacking(format: MachineDisk['format']): { backing?: null } {
  return format === 'raw' ? {} : { backing: null };
}

/**
 * Guest flushes are honoured at the primary site: its disks are the only copy until a backup has run, and a sparse
 * VMDK that lost its grain tables has lost all. A volume of the sandbox's EC2 is a raw file: without host flushes it
 * loses nothing when a guest, QEMU or any process here is killed, only when the host loses its power, which the
 * sandbox does not promise to survive; in return, guests under emulation boot without waiting for the host's disk.
 */
function blockArguments(disk: MachineDisk, profile: MachineHardware['profile']): string[] {
  const cache = { direct: false, 'no-flush': profile === 'ec2' };
  return [
    ...[
      '-blockdev',
      JSON.stringify({ driver: 'file', 'node-name': `file${nodeSuffix(disk)}`, filename: disk.path, cache }),
    ],
    ...[
      '-blockdev',
      JSON.stringify({
        driver: disk.format,
        'node-name': diskNode(disk),
        file: `file${nodeSuffix(disk)}`,
        ...(disk.below === undefined || disk.below.length === 0
          ? withoutBacking(disk.format)
          : { backing: backingNode(disk.below) }),
        cache,
      }),
    ],
  ];
}

/** Read-only until something is merged into it, which QEMU opens it anew for. */
function backingNode([nearest, ...rest]: readonly LayerBelow[]): Record<string, unknown> | null {
  if (nearest === undefined) return null;
  return {
    driver: nearest.format,
    'node-name': nearest.node,
    'read-only': true,
    file: { driver: 'file', filename: nearest.path },
    ...(nearest.format === 'raw' ? {} : { backing: backingNode(rest) }),
  };
}

function tapArguments(tap: string, index: number): string[] {
  // vnet_hdr off: frames then have complete checksums, which DHCP clients that read raw packets insist on.
  return [
    '-netdev',
    JSON.stringify({
      type: 'tap',
      id: `net${index}`,
      ifname: tap,
      script: 'no',
      downscript: 'no',
      vnet_hdr: false,
    }),
  ];
}

function flashArguments(flash: { code: string; variables: string }): string[] {
  const file = (filename: string, readOnly: boolean, id: string) => [
    '-blockdev',
    JSON.stringify({
      driver: 'raw',
      'node-name': id,
      'read-only': readOnly,
      file: { driver: 'file', filename },
    }),
  ];
  return [
    ...file(flash.code, true, 'flash-code'),
    ...file(flash.variables, false, 'flash-variables'),
    ...['-global', 'driver=cfi.pflash01,property=secure,value=off'],
    ...['-machine', 'pflash0=flash-code,pflash1=flash-variables'],
  ];
}

function bootIndex(disk: MachineDisk): { bootindex?: number } {
  return disk.boot ? { bootindex: 0 } : {};
}

function device(properties: Record<string, unknown>): string[] {
  return ['-device', JSON.stringify(properties)];
}

/** A whole number of 64 bits for {@link device}: JavaScript's own numbers have 53. In Node since 21, and not yet in TypeScript. */
function wholeNumber(hexadecimal: string): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  return rawJSON(String(BigInt(`0x${hexadecimal}`)));
}

function check(machine: MachineHardware): void {
  const { name, profile, nics } = machine;
  const disks = profile === 'vmware' ? nameControllers(machine.disks, controllerOf(machine)) : machine.disks;
  for (const { slot, controller } of disks) {
    const kind = controller?.kind ?? controllerOf(machine);
    if (profile === 'ec2' ? !isEc2Slot(slot) : !isMachineSlot(kind, slot))
      throw new Error(`A ${profile} machine has no disk slot ${slot}${controller ? ` on ${kind}` : ''}.`);
  }
  const conflict = placeConflict(disks.map((disk) => ({ key: disk.serial, ...disk })));
  if (conflict !== undefined) throw new Error(`${name} cannot be: ${conflict}`);
  if (nics.length > 3) throw new Error(`${name} has more than 3 network cards.`);
}

/** PCI device numbers 4 and 6 to 0x1a, below those of further cards. */
const isEc2Slot = (slot: number): boolean => Number.isInteger(slot) && slot >= 0 && slot <= 21;

/** Whether a machine of the `vmware` profile can have a disk there. */
export function isMachineSlot(kind: ControllerKind, slot: number): boolean {
  const last = isMachineController(kind) ? LAST_SLOT[kind] : -1;
  const own = busOf(kind) === 'scsi' && slot === SCSI_CONTROLLER_SLOT;
  return Number.isInteger(slot) && slot >= 0 && slot <= last && !own;
}

/** Whether there is such a controller here. */
export function isMachineController(kind: ControllerKind): kind is MachineController {
  return (MACHINE_CONTROLLERS as readonly ControllerKind[]).includes(kind);
}
