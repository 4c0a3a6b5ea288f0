import { randomBytes } from 'node:crypto';
import { busOf } from '../../../machines/disk-place';
import { type ControllerPlace, type DiskConfiguration } from '../../port';
import { checkPlace, newController } from '../controllers';
import {
  bootOrderOf,
  controllersOf,
  type DiskDevice,
  diskKeyOption,
  disksOf,
  extraConfig,
  withDashes,
} from '../devices';
import { diskMark } from '../marks';
import { type VimClient } from '../vim/client';
import { isFault } from '../vim/faults';
import {
  type AnyVirtualDevice,
  type VirtualMachineBootOptions,
  type VirtualMachineConfigInfo,
  type VirtualMachineConfigSpec,
} from '../vim/schema';
import { homeOf, mustHaveConfiguration, type VmRef } from '../vm';

/** The same bound as for a disk's key in the repository; it is part of a file's name here. */
const KEY = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/;
/** "Maximum size of a VMDK", Configuration Maximums. */
const LARGEST_BYTES = 62 * 2 ** 40;

/**
 * Makes a thin disk of exactly this size, attaches it, and writes down which key it has. Each step is looked for first, so that
 * a call which was cut off anywhere is made good by the next.
 * @throws Error for a place, size or key that cannot be, or that something else has
 */
export async function addDisk(
  client: VimClient,
  vm: VmRef,
  name: string,
  disk: DiskConfiguration,
): Promise<void> {
  checkDisk(disk);
  const before = await configOf(client, vm, name);
  const place = placeOf(before, disk);
  checkPlace(place, disk.slot);
  const standing = findDisk(before, name, disk, place);
  if (standing === undefined) {
    if (disk.boot) checkNoOtherBoot(before, name);
    await make(client, vm, name, before, disk, place);
  }
  const after = await configOf(client, vm, name);
  const made = diskAt(after, place, disk.slot);
  if (made === undefined)
    throw new Error(`vCenter has added no disk to "${name}" at ${told(place, disk.slot)}.`);
  if (made.sizeBytes !== disk.sizeBytes)
    throw new Error(
      `vCenter made the disk "${disk.key}" of "${name}" with ${made.sizeBytes} instead of ${disk.sizeBytes} bytes. Choose a datastore ` +
        'that keeps sizes as they are (VVols take whole MiB only).',
    );
  await writeDown(client, vm, after, made, disk);
}

function checkDisk({ key, sizeBytes }: DiskConfiguration): void {
  if (!KEY.test(key))
    throw new Error(
      `${JSON.stringify(key)} cannot be the key of a disk: it has letters, digits and "-" only.`,
    );
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % 512 !== 0)
    throw new Error(`A disk cannot have ${sizeBytes} bytes: its size is a multiple of 512.`);
  if (sizeBytes > LARGEST_BYTES)
    throw new Error(`A disk cannot have ${sizeBytes} bytes: vSphere's are of 62 TiB at most.`);
}

async function configOf(client: VimClient, vm: VmRef, name: string): Promise<VirtualMachineConfigInfo> {
  const { config } = await client.get(vm, 'config');
  return mustHaveConfiguration(config, vm, name);
}

/** Where no controller is named, the first of those that the VM has. */
function placeOf({ hardware }: VirtualMachineConfigInfo, { controller }: DiskConfiguration): ControllerPlace {
  if (controller !== undefined) return controller;
  const [first] = controllersOf(hardware.device).sort((a, b) => a.bus - b.bus || a.key - b.key);
  return first ?? { kind: 'pvscsi', bus: 0 };
}

function diskAt(
  { hardware }: VirtualMachineConfigInfo,
  { kind, bus }: ControllerPlace,
  slot: number,
): DiskDevice | undefined {
  return disksOf(hardware.device).find(
    ({ controller, unit }) => controller?.kind === kind && controller.bus === bus && unit === slot,
  );
}

/** The disk, where an earlier call has made it. @throws Error where its place or its key is taken */
function findDisk(
  config: VirtualMachineConfigInfo,
  name: string,
  { key, sizeBytes, slot }: DiskConfiguration,
  place: ControllerPlace,
): DiskDevice | undefined {
  const keyOf = ({ uuid }: DiskDevice): string | undefined =>
    uuid && extraConfig(config.extraConfig, diskKeyOption(uuid));
  const here = diskAt(config, place, slot);
  const same = disksOf(config.hardware.device).find((disk) => keyOf(disk) === key);
  if (same !== undefined && same.device.key !== here?.device.key)
    throw new Error(`"${name}" has a disk "${key}" already, and at another place than ${told(place, slot)}.`);
  if (here === undefined) return undefined;
  // A disk that is not written down is one that a broken-off call made, where it is in the file that it would be in.
  const ours = keyOf(here) === undefined ? isFileOf(here, key) : keyOf(here) === key;
  if (!ours) throw new Error(`"${name}" has another disk at ${told(place, slot)}.`);
  if (here.sizeBytes !== sizeBytes)
    throw new Error(`The disk "${key}" of "${name}" has ${here.sizeBytes} and not ${sizeBytes} bytes.`);
  return here;
}

function isFileOf({ backing }: DiskDevice, key: string): boolean {
  const file = backing.fileName?.split('/').at(-1) ?? '';
  return (
    file === `${key}.vmdk` ||
    (file.startsWith(`${key}-`) && /^[0-9a-f]{8}\.vmdk$/.test(file.slice(key.length + 1)))
  );
}

function bootDisk({ bootOptions, hardware }: VirtualMachineConfigInfo): number | undefined {
  return bootOrderOf(bootOptions).find((key) => hardware.device.some((device) => device.key === key));
}

function checkNoOtherBoot(config: VirtualMachineConfigInfo, name: string): void {
  if (bootDisk(config) !== undefined) throw new Error(`"${name}" has a disk to boot from already.`);
}

async function make(
  client: VimClient,
  vm: VmRef,
  name: string,
  { hardware, files }: VirtualMachineConfigInfo,
  { key, sizeBytes, slot }: DiskConfiguration,
  place: ControllerPlace,
): Promise<void> {
  const controllers = controllersOf(hardware.device);
  const there = controllers.find(({ kind, bus }) => bus === place.bus && busOf(kind) === busOf(place.kind));
  if (there !== undefined && there.kind !== place.kind)
    throw new Error(
      `"${name}" has a ${there.kind} controller as number ${place.bus}, and no ${place.kind} one.`,
    );
  const uuid = newDiskUuid();
  const directory = homeOf(files.vmPathName);
  const change = (fileName: string): VirtualMachineConfigSpec => ({
    deviceChange: [
      ...(there === undefined ? [{ operation: 'add' as const, device: newController(place, -1) }] : []),
      { operation: 'add', fileOperation: 'create', device: newDisk(fileName) },
    ],
    // In the same call: a disk that is there is one whose key is known, if vCenter keeps the UUID that is asked for.
    extraConfig: [diskMark(uuid, key)],
  });
  const newDisk = (fileName: string): AnyVirtualDevice => ({
    $type: 'VirtualDisk',
    key: -2,
    controllerKey: there?.key ?? -1,
    unitNumber: slot,
    capacityInKB: Math.floor(sizeBytes / 1024),
    capacityInBytes: sizeBytes,
    backing: {
      $type: 'VirtualDiskFlatVer2BackingInfo',
      fileName,
      diskMode: 'persistent',
      thinProvisioned: true,
      uuid,
    },
  });
  try {
    await client.run('ReconfigVM_Task', vm, { spec: change(`${directory}${key}.vmdk`) });
  } catch (error) {
    // A file that a call left which was cut off within vCenter; whose it is nobody can tell, so it stays.
    if (!isFault(error, 'FileAlreadyExists')) throw error;
    await client.run('ReconfigVM_Task', vm, {
      spec: change(`${directory}${key}-${randomBytes(4).toString('hex')}.vmdk`),
    });
  }
}

/** Writes down the disk's key by the UUID that it came to have, and that the firmware boots from it. */
async function writeDown(
  client: VimClient,
  vm: VmRef,
  config: VirtualMachineConfigInfo,
  made: DiskDevice,
  { key, boot }: DiskConfiguration,
): Promise<void> {
  if (made.uuid === undefined)
    throw new Error(`The new disk "${key}" has no UUID; its datastore gives disks none.`);
  const known = extraConfig(config.extraConfig, diskKeyOption(made.uuid)) === key;
  const boots = !boot || bootDisk(config) === made.device.key;
  if (known && boots) return;
  const bootOrder: VirtualMachineBootOptions['bootOrder'] = [
    { $type: 'VirtualMachineBootOptionsBootableDiskDevice', deviceKey: made.device.key },
  ];
  await client.run('ReconfigVM_Task', vm, {
    spec: {
      ...(known ? {} : { extraConfig: [diskMark(made.uuid, key)] }),
      ...(boots ? {} : { bootOptions: { bootOrder } }),
    },
  });
}

/** As ESXi makes them: VMware's own range of world-wide names (6000c29), which the guest sees as the disk's. */
function newDiskUuid(): string {
  return withDashes(`6000c29${randomBytes(13).toString('hex').slice(1)}`);
}

function told({ kind, bus }: ControllerPlace, slot: number): string {
  return `${kind} ${bus}:${slot}`;
}
