import { CONTROLLER_KINDS, CONTROLLERS_A_BUS, SCSI_CONTROLLER_SLOT } from '../../machines/disk-place';
import { type ControllerKind, type ControllerPlace } from '../port';
import { type AnyVirtualDevice } from './vim/schema';

/** VMware's storage controllers: their device types, the bus whose numbers they share, and the disks that each takes. */
const CONTROLLERS = {
  pvscsi: { type: 'ParaVirtualSCSIController', bus: 'SCSI', units: 64 },
  lsilogic: { type: 'VirtualLsiLogicController', bus: 'SCSI', units: 16 },
  lsisas: { type: 'VirtualLsiLogicSASController', bus: 'SCSI', units: 16 },
  buslogic: { type: 'VirtualBusLogicController', bus: 'SCSI', units: 16 },
  sata: { type: 'VirtualAHCIController', bus: 'SATA', units: 30 },
  nvme: { type: 'VirtualNVMEController', bus: 'NVMe', units: 15 },
} as const satisfies Record<ControllerKind, { type: string; bus: string; units: number }>;

const KINDS: ReadonlyMap<string, ControllerKind> = new Map(
  CONTROLLER_KINDS.map((kind) => [CONTROLLERS[kind].type, kind]),
);

/** @param type vSphere's name of a device's type; undefined where that is no controller of ours */
export function kindOf(type: string): ControllerKind | undefined {
  return KINDS.get(type);
}

/** @throws Error where a disk cannot be at such a place */
export function checkPlace({ kind, bus }: ControllerPlace, slot: number): void {
  const { units, bus: busName } = CONTROLLERS[kind];
  if (!Number.isInteger(bus) || bus < 0 || bus >= CONTROLLERS_A_BUS)
    throw new Error(
      `A VM has ${busName} controllers 0 to ${CONTROLLERS_A_BUS - 1}, and none numbered ${bus}.`,
    );
  if (!Number.isInteger(slot) || slot < 0 || slot >= units)
    throw new Error(`A ${kind} controller takes disks at 0 to ${units - 1}, and none at ${slot}.`);
  if (busName === 'SCSI' && slot === SCSI_CONTROLLER_SLOT)
    throw new Error(`A SCSI controller is at ${slot} of its bus itself; no disk can be there.`);
}

/** A device for a controller that is to be made. @param key negative, and of this change alone */
export function newController({ kind, bus }: ControllerPlace, key: number): AnyVirtualDevice {
  const { type, bus: busName } = CONTROLLERS[kind];
  // The types of SCSI controllers differ from those of others by one field, which must be there.
  const shared = busName === 'SCSI' ? { sharedBus: 'noSharing' } : {};
  return { $type: type, key, busNumber: bus, ...shared } as AnyVirtualDevice;
}
