/**
 * Where a disk is in a VM: on which of its storage controllers, and at which position there. Guests call disks by it, and
 * the letters that they give them follow its order.
 */

/** Kinds of storage controllers: VMware's paravirtual SCSI, LSI Logic's and BusLogic's, SATA (AHCI), NVMe. */
export const CONTROLLER_KINDS = ['pvscsi', 'lsilogic', 'lsisas', 'buslogic', 'sata', 'nvme'] as const;
export type ControllerKind = (typeof CONTROLLER_KINDS)[number];

/** As many controllers as a VM of VMware's may have of one bus ("Configuration Maximums", vSphere). */
export const CONTROLLERS_A_BUS = 4;

/** One of a VM's storage controllers; a VM may have four of SCSI, SATA and NVMe each. */
export interface ControllerPlace {
  kind: ControllerKind;
  /** Its number among those of its bus (SCSI, SATA or NVMe), from 0. */
  bus: number;
}

export interface DiskPlace {
  /** Position on its controller, from 0. */
  slot: number;
  /** Absent on the only controller of a VM whose disks name none. */
  controller?: ControllerPlace;
}

/** A SCSI controller of VMware's is at this place of its bus itself. */
export const SCSI_CONTROLLER_SLOT = 7;

/** In the order in which VMware's firmware goes through them. */
const BUSES = ['scsi', 'sata', 'nvme'] as const;

/** The bus that a kind of controller is for. */
export function busOf(kind: ControllerKind): (typeof BUSES)[number] {
  return kind === 'sata' || kind === 'nvme' ? kind : 'scsi';
}

/**
 * The order of a VM's disks, for everything that counts them: SCSI controllers by number, then SATA, then NVMe; on each
 * the disks by slot. A disk that names no controller counts as on the first of SCSI: {@link nameControllers} before, where
 * others name theirs.
 */
export function byPlace(a: DiskPlace, b: DiskPlace): number {
  const [busA, numberA] = controllerRank(a);
  const [busB, numberB] = controllerRank(b);
  return busA - busB || numberA - numberB || a.slot - b.slot;
}

function controllerRank({ controller }: DiskPlace): [bus: number, number: number] {
  return controller === undefined ? [0, 0] : [BUSES.indexOf(busOf(controller.kind)), controller.bus];
}

/** A controller as VMware calls it: `scsi0`, `sata1`. */
export function controllerName({ controller }: Pick<DiskPlace, 'controller'>): string {
  return controller === undefined ? 'scsi0' : `${busOf(controller.kind)}${controller.bus}`;
}

/** A place as VMware writes it: `scsi0:1`. Equal for two disks that cannot both be there. */
export function placeName(place: DiskPlace): string {
  return `${controllerName(place)}:${place.slot}`;
}

/** Whether all disks are on one controller. */
export function onOneController(disks: readonly DiskPlace[]): boolean {
  return new Set(disks.map(controllerName)).size <= 1;
}

/**
 * The disks of one VM, of which either none names its controller or all do: where one does, the others are on the first
 * controller of the VM's kind.
 * @param kind the VM's kind of controller, for disks that name none
 */
export function nameControllers<Disk extends DiskPlace>(
  disks: readonly Disk[],
  kind: ControllerKind = 'pvscsi',
): Disk[] {
  if (disks.every(({ controller }) => controller === undefined)) return [...disks];
  return disks.map((disk) => ({ ...disk, controller: disk.controller ?? { kind, bus: 0 } }));
}

/**
 * What keeps the disks from being in one VM, in a sentence: two in one place, or one controller of two kinds.
 * @param disks as {@link nameControllers} gives them
 */
export function placeConflict(disks: readonly (DiskPlace & { key: string })[]): string | undefined {
  const places = new Map<string, string>();
  const kinds = new Map<string, ControllerKind>();
  for (const { key, ...place } of disks) {
    const name = placeName(place);
    const other = places.get(name);
    if (other !== undefined) return `The disks "${other}" and "${key}" are both at ${name}.`;
    places.set(name, key);
    if (place.controller === undefined) continue;
    const { kind } = place.controller;
    const known = kinds.get(controllerName(place));
    if (known !== undefined && known !== kind)
      return `The controller ${controllerName(place)} cannot be of both ${known} and ${kind}.`;
    kinds.set(controllerName(place), kind);
  }
  return undefined;
}
