import { type Accelerator } from './accelerator';

/** An image that another one builds on: what that one does not hold is read from it. */
export interface LayerBelow {
  path: string;
  format: 'raw' | 'qcow2';
  /** Of its node in QEMU's block graph, for the commands of the monitor. */
  node: string;
}

/** A disk of a machine. */
export interface MachineDisk {
  path: string;
  format: 'raw' | 'vmdk' | 'qcow2';
  /** What the image builds on, the nearest first; nothing where absent. */
  below?: LayerBelow[];
  /** What the guest reads as the disk's serial number; 20 characters at most (NVMe). */
  serial: string;
  /** What it says of itself to SCSI and SATA beside that: 16 hexadecimal digits, unique in the world. */
  wwn?: string;
  /** Position, from 0; distinct among the machine's disks. */
  slot: number;
  /** Whether the firmware boots from it. */
  boot: boolean;
}

/**
 * What the disks of a `vmware` machine are on. Debian's UEFI firmware for QEMU has no driver for `pvscsi`, so that a UEFI
 * machine only boots from `sata`.
 */
export type DiskController = 'pvscsi' | 'sata';

/** What a machine is made of. */
export interface MachineHardware {
  name: string;
  /**
   * `vmware`: disks on a paravirtual SCSI or a SATA controller and vmxnet3 cards, as vSphere has them. `ec2`: one
   * NVMe controller a disk, as on Nitro; virtio-net stands in for the ENA card, which QEMU does not have.
   */
  profile: 'vmware' | 'ec2';
  /** Of a `vmware` machine; `pvscsi` unless said otherwise. */
  diskController?: DiskController;
  firmware: 'bios' | 'uefi';
  cpus: number;
  memoryMiB: number;
  disks: MachineDisk[];
  nics: { tap: string; mac: string }[];
}

/** Name of a disk's node in QEMU's block graph, for the commands of its monitor. */
export function diskNode(slot: number): string {
  return `disk${slot}`;
}

/** The guest's own controller has this id on a SCSI bus of VMware's. */
const SCSI_CONTROLLER_ID = 7;
/** Ports of the SATA controller in QEMU's q35 chipset. */
const SATA_PORTS = 6;

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
    ...(controllerOf(machine) === 'sata' ? sataDisks(machine) : scsiDisks(machine)),
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

function scsiDisks(machine: MachineHardware): string[] {
  return [
    ...device({ driver: 'pcie-root-port', id: 'port160', slot: 160, chassis: 1 }),
    ...device({ driver: 'pvscsi', id: 'scsi0', bus: 'port160' }),
    ...machine.disks.flatMap((disk) =>
      device({ driver: 'scsi-hd', bus: 'scsi0.0', 'scsi-id': disk.slot, ...vmwareDisk(machine, disk) }),
    ),
  ];
}

/** On the chipset's own controller. */
function sataDisks(machine: MachineHardware): string[] {
  return machine.disks.flatMap((disk) =>
    device({ driver: 'ide-hd', bus: `ide.${disk.slot}`, ...vmwareDisk(machine, disk) }),
  );
}

function vmwareDisk({ firmware }: MachineHardware, disk: MachineDisk): Record<string, unknown> {
  return {
    id: `drive${disk.slot}`,
    drive: diskNode(disk.slot),
    serial: disk.serial,
    ...(disk.wwn === undefined ? {} : { wwn: wholeNumber(disk.wwn) }),
    // UEFI goes by the boot entries in its own memory, as VMware's does: QEMU's order would come before them.
    ...(firmware === 'uefi' ? {} : bootIndex(disk)),
  };
}

function controllerOf({ diskController }: MachineHardware): DiskController {
  return diskController ?? 'pvscsi';
}

function ec2Arguments({ disks, nics }: MachineHardware): string[] {
  return [
    ...['-machine', 'pc'],
    // On Nitro the root disk is PCI device 4 and the first card is 5 (ens5); other disks come after those.
    ...disks.flatMap((disk) =>
      device({
        driver: 'nvme',
        id: `drive${disk.slot}`,
        drive: diskNode(disk.slot),
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
      JSON.stringify({ driver: 'file', 'node-name': `file${disk.slot}`, filename: disk.path, cache }),
    ],
    ...[
      '-blockdev',
      JSON.stringify({
        driver: disk.format,
        'node-name': diskNode(disk.slot),
        file: `file${disk.slot}`,
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
  const slots = machine.disks.map((disk) => disk.slot);
  const scsi = machine.profile === 'vmware' && controllerOf(machine) === 'pvscsi';
  // 21: PCI device numbers 4 and 6 to 0x1a, below those of further cards.
  const limit = machine.profile === 'ec2' ? 21 : scsi ? 15 : SATA_PORTS - 1;
  for (const slot of slots) {
    if (!Number.isInteger(slot) || slot < 0 || slot > limit || (scsi && slot === SCSI_CONTROLLER_ID)) {
      throw new Error(`A ${machine.profile} machine has no disk slot ${slot}.`);
    }
  }
  if (new Set(slots).size !== slots.length)
    throw new Error(`Two disks of ${machine.name} have the same slot.`);
  if (machine.nics.length > 3) throw new Error(`${machine.name} has more than 3 network cards.`);
}
