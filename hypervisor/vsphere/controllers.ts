import { type ControllerKind, type ControllerPlace } from '../port';
import { type AnyVirtualDevice } from './vim/schema';

/** VMware's storage controllers to make: their device types, the bus whose numbers they share, and the disks that each takes. */
const CONTROLLERS = {
  pvscsi: { type: 'ParaVirtualSCSIController', bus: 'SCSI', units: 64 },
  lsilogic: { type: 'VirtualLsiLogicController', bus: 'SCSI', units: 16 },
  lsisas: { type: 'VirtualLsiLogicSASController', bus: 'SCSI', units: 16 },
  buslogic: { type: 'VirtualBusLogicController', bus: 'SCSI', units: 16 },
  sata: { type: 'VirtualAHCIController', bus: 'SATA', units: 30 },
  nvme: { type: 'VirtualNVMEController', bus: 'NVMe', units: 15 },
} as const satisfies Record<ControllerKind, { type: string; bus: string; units: number }>;

/** A VM has at most four controllers of each bus ("Configuration Maximums", vSphere). */
const CONTROLLERS_OF_A_BUS = 4;
/** The SCSI controller's own place on its bus. */
const UNIT_OF_SCSI_CONTROLLER = 7;

/** @throws Error where a disk cannot be at such a place */
export function checkPlace({ kind, bus }: ControllerPlace, slot: number): void {
  const { units, bus: busName } = CONTROLLERS[kind];
  if (!Number.isInteger(bus) || bus < 0 || bus >= CONTROLLERS_OF_A_BUS)
    throw new Error(
      `A VM has ${busName} controllers 0 to ${CONTROLLERS_OF_A_BUS - 1}, and none numbered ${bus}.`,
    );
  if (!Number.isInteger(slot) || slot < 0 || slot >= units)
    throw new Error(`A ${kind} controller takes disks at 0 to ${units - 1}, and none at ${slot}.`);
  if (busName === 'SCSI' && slot === UNIT_OF_SCSI_CONTROLLER)
    throw new Error(`A SCSI controller is at ${slot} of its bus itself; no disk can be there.`);
}

/** A device for a controller that is to be made. @param key negative, and of this change alone */
export function newController({ kind, bus }: ControllerPlace, key: number): AnyVirtualDevice {
  const { type, bus: busName } = CONTROLLERS[kind];
  // The types of SCSI controllers differ from those of others by one field, which must be there.
  const shared = busName === 'SCSI' ? { sharedBus: 'noSharing' } : {};
  return { $type: type, key, busNumber: bus, ...shared } as AnyVirtualDevice;
}
