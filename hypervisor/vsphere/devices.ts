import { byPlace } from '../../machines/disk-place';
import { type ControllerPlace } from '../port';
import { kindOf } from './controllers';
import {
  type AnyVirtualDevice,
  type ManagedObject,
  type OptionValue,
  type VirtualMachineBootOptions,
  type VirtualDisk,
  type VirtualSCSISharing,
} from './vim/schema';

/** What is read of a VM's virtual hardware, from the list of devices that vSphere gives. */

export interface Controller extends ControllerPlace {
  key: number;
  /** Of SCSI controllers: whether other VMs may use its disks, too. */
  sharedBus?: VirtualSCSISharing;
}

/** A disk's backing, of whichever kind: what is absent is not known of that kind. */
export interface DiskBacking {
  $type: string;
  fileName?: string;
  diskMode?: string;
  uuid?: string;
  changeId?: string;
  /** `sharingMultiWriter` where several VMs write at once. */
  sharing?: string;
  /** Raw device mappings: `physicalMode` or `virtualMode`. */
  compatibilityMode?: string;
  keyId?: unknown;
  datastore?: ManagedObject;
  parent?: DiskBacking;
}

/** A disk as it stands among the devices. */
export interface DiskDevice {
  device: VirtualDisk;
  backing: DiskBacking;
  /** "Hard disk 1", as people see it in the client. */
  label: string;
  /** Of the disk, not of its file: stays through snapshots and moves. Lower case, with dashes; absent on old kinds. */
  uuid: string | undefined;
  sizeBytes: number;
  unit: number;
  /** Absent on IDE. */
  controller: Controller | undefined;
}

export function controllersOf(devices: readonly AnyVirtualDevice[]): Controller[] {
  return devices.flatMap((device) => {
    const kind = kindOf(device.$type);
    if (kind === undefined || !('busNumber' in device)) return [];
    const sharedBus = 'sharedBus' in device ? device.sharedBus : undefined;
    const place = { key: device.key, kind, bus: device.busNumber };
    return [sharedBus === undefined ? place : { ...place, sharedBus }];
  });
}

/** All disks, in the order of their controllers and units: SCSI before SATA before NVMe, and IDE first, as the firmware has them. */
export function disksOf(devices: readonly AnyVirtualDevice[]): DiskDevice[] {
  const controllers = controllersOf(devices);
  return devices
    .filter((device): device is VirtualDisk => device.$type === 'VirtualDisk')
    .map((device) => {
      const backing = (device.backing ?? { $type: 'VirtualDeviceBackingInfo' }) as DiskBacking;
      return {
        device,
        backing,
        label: device.deviceInfo?.label ?? `device ${device.key}`,
        uuid: normalUuid(backing.uuid),
        // Old servers leave the bytes out; KiB cut what is no whole number of them.
        sizeBytes: device.capacityInBytes ?? device.capacityInKB * 1024,
        unit: device.unitNumber ?? 0,
        controller: controllers.find(({ key }) => key === device.controllerKey),
      };
    })
    .sort(
      (a, b) =>
        Number(a.controller !== undefined) - Number(b.controller !== undefined) ||
        byPlace({ ...a, slot: a.unit }, { ...b, slot: b.unit }),
    );
}

/** vSphere writes UUIDs in several ways: `6000C29a 12 34 …-…`, with capitals, with dashes. @returns undefined where it is none */
export function normalUuid(uuid: string | undefined): string | undefined {
  const digits = uuid?.replace(/[^0-9a-f]/gi, '').toLowerCase();
  if (digits?.length !== 32) return undefined;
  return withDashes(digits);
}

/** @param digits the 32 of a UUID */
export function withDashes(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Keys of the devices that the firmware boots from, in their order; empty where it goes by its own. */
export function bootOrderOf(options: VirtualMachineBootOptions | undefined): number[] {
  return (options?.bootOrder ?? []).flatMap((device) => ('deviceKey' in device ? [device.deviceKey] : []));
}

/** A setting of the VM by name; those that a VM was made with are text. */
export function extraConfig(options: readonly OptionValue[] | undefined, name: string): string | undefined {
  const value = options?.find(({ key }) => key === name)?.value;
  return typeof value === 'string' ? value : undefined;
}

/** The setting that keeps whose VM it is: createVm's mark. */
export const MARK_OPTION = 'lifeboat.mark';

/** The setting that keeps the key of a disk which the adapter made, by the disk's UUID. */
export const diskKeyOption = (uuid: string): string => `lifeboat.disk.${uuid}`;

/** The key of a disk: the one that it was made with, else its UUID. @returns undefined for a disk without UUID */
export function diskKey(disk: DiskDevice, options: readonly OptionValue[] | undefined): string | undefined {
  return disk.uuid && (extraConfig(options, diskKeyOption(disk.uuid)) ?? disk.uuid);
}
