import { SCSI_CONTROLLER_SLOT } from '../../../machines/disk-place';
import { type Controller, controllersOf, type DiskDevice, disksOf } from '../devices';
import { type AnyVirtualDevice } from '../vim/schema';

/**
 * The controller of the backup proxy that is kept for other VMs' disks: what is attached there, and used by nobody, is let go. The
 * client drops a controller together with its last disk only where a person removes that disk; the API never does.
 */

/** Units of a SCSI controller that every version takes, but for the controller's own. */
const UNITS = 16;

/**
 * @param home directory of the proxy's own files, as `[datastore] proxy/`
 * @param bus of the settings; where absent, the last PVSCSI controller without disks of the proxy's own
 * @throws Error where there is none
 */
export function keptController(
  devices: readonly AnyVirtualDevice[],
  home: string,
  bus: number | undefined,
): Controller {
  const kept = controllersOf(devices)
    .filter(({ kind }) => kind === 'pvscsi')
    .filter((one) => bus === undefined || one.bus === bus)
    .filter(({ key }) =>
      disksOf(devices).every((disk) => disk.device.controllerKey !== key || isOthersDisk(disk, home)),
    )
    .sort((a, b) => a.bus - b.bus)
    .at(-1);
  if (kept === undefined)
    throw new Error(
      bus === undefined
        ? "The backup proxy's VM has no PVSCSI controller without disks of its own: add one, for other VMs' disks alone."
        : `The backup proxy's VM has no PVSCSI controller with the bus number ${bus} that is free of disks of its own: add one, or set controller.`,
    );
  return kept;
}

/** Whether a disk of the proxy is another VM's, attached for a while; such disks only are ever let go. */
export function isOthersDisk({ backing }: DiskDevice, home: string): boolean {
  return (
    (backing.diskMode === 'independent_nonpersistent' || backing.diskMode === 'independent_persistent') &&
    !(home !== '' && backing.fileName?.startsWith(home) === true)
  );
}

/** @throws Error where all are taken */
export function freeUnit(devices: readonly AnyVirtualDevice[], controller: Controller): number {
  const taken = new Set(
    devices
      .filter(({ controllerKey }) => controllerKey === controller.key)
      .map(({ unitNumber }) => unitNumber),
  );
  for (let unit = 0; unit < UNITS; unit++) if (unit !== SCSI_CONTROLLER_SLOT && !taken.has(unit)) return unit;
  throw new Error(
    `All ${UNITS - 1} places of the backup proxy's controller SCSI ${controller.bus} are taken by disks in use. It is tried again; ` +
      `where it goes on, let fewer backups run at once.`,
  );
}
