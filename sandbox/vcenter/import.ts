import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { uefiVariablesFile } from '../../machines/firmware';
import { toolOutput } from '../../host/run-tool';
import { type VmConfiguration } from '../../hypervisor/port';
import { flatFile } from './host/state';
import { type SimulatedVcenter } from './simulator';

/** A VM to put into the simulated data centre, its disks as raw images. */
export interface ImportedVm {
  name: string;
  configuration: VmConfiguration;
  /** `wwn`, of 16 hexadecimal digits, is the beginning of the disk's UUID where it is given. */
  rawDisks: { key: string; path: string; wwn?: string }[];
  /** What the firmware of a UEFI VM has in its memory; empty unless given. */
  uefiVariables?: string;
  /** VMware's name of the guest's operating system. */
  guestId?: string;
  /** Entries of extraConfig, the simulator's switches among them. */
  options?: Record<string, string>;
}

/** Copying a disk of some gigabytes, on a busy machine. */
const COPY_SECONDS = 1800;

const DATASTORE = 'LocalDS_0';
const CONTROLLER_KEY = -1;

/**
 * Puts a VM into the data centre, powered off. Its disks' bytes are there when it appears on the network, but for the moment
 * in which they are put in place.
 * @throws Error where there is a VM of that name, or where an image has another size than its disk
 * @returns its managed object id
 */
export async function importVm(
  vcenter: Pick<SimulatedVcenter, 'control' | 'datastoreDirectory' | 'machineDirectory'>,
  vm: ImportedVm,
): Promise<string> {
  if ((await vcenter.control.lookUp(vm.name)) !== undefined)
    throw new Error(`The simulated data centre has a VM "${vm.name}" already.`);
  const staging = join(vcenter.datastoreDirectory, `.import-${randomUUID()}`);
  await mkdir(staging);
  try {
    const disks = vm.configuration.disks;
    for (const { key, sizeBytes } of disks) {
      const raw = vm.rawDisks.find((one) => one.key === key);
      if (!raw) throw new Error(`There is no image for disk "${key}" of VM "${vm.name}".`);
      const { size } = await stat(raw.path);
      if (size !== sizeBytes) throw new Error(`${raw.path} has ${size} bytes, not ${sizeBytes}.`);
      // Holes stay holes, and a file system that can share blocks does.
      await toolOutput('cp', ['--sparse=always', '--reflink=auto', raw.path, join(staging, key)], {
        timeoutSeconds: COPY_SECONDS,
      });
    }
    const id = await vcenter.control.register(specification(vm));
    for (const { key } of disks)
      await rename(join(staging, key), flatFile(join(vcenter.datastoreDirectory, vm.name, `${key}.vmdk`)));
    if (vm.uefiVariables !== undefined) {
      await mkdir(vcenter.machineDirectory(id), { recursive: true });
      await copyFile(vm.uefiVariables, uefiVariablesFile(vcenter.machineDirectory(id)));
    }
    return id;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** A VirtualMachineConfigSpec in the JSON of the VI JSON API. */
function specification({
  name,
  configuration,
  rawDisks,
  guestId,
  options = {},
}: ImportedVm): Record<string, unknown> {
  const { cpus, memoryMiB, firmware, nics, disks, diskController } = configuration;
  const scsi = { _typeName: 'ParaVirtualSCSIController', busNumber: 0, sharedBus: 'noSharing' };
  const controller = diskController === 'sata' ? { _typeName: 'VirtualAHCIController', busNumber: 0 } : scsi;
  const devices = [
    { device: { ...controller, key: CONTROLLER_KEY } },
    ...disks.map(({ key, sizeBytes, slot }, index) => {
      const wwn = rawDisks.find((one) => one.key === key)?.wwn;
      return {
        fileOperation: 'create',
        device: {
          _typeName: 'VirtualDisk',
          key: -100 - index,
          controllerKey: CONTROLLER_KEY,
          unitNumber: slot,
          capacityInBytes: sizeBytes,
          capacityInKB: Math.floor(sizeBytes / 1024),
          backing: {
            _typeName: 'VirtualDiskFlatVer2BackingInfo',
            fileName: `[${DATASTORE}] ${name}/${key}.vmdk`,
            diskMode: 'persistent',
            thinProvisioned: true,
            ...(wwn === undefined ? {} : { uuid: uuidBeginningWith(wwn) }),
          },
        },
      };
    }),
    ...nics.map(({ network, mac }, index) => ({
      device: {
        _typeName: 'VirtualVmxnet3',
        key: -200 - index,
        addressType: 'assigned', // whatever the address is, it is vCenter that gave it
        macAddress: mac,
        backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: network },
        connectable: {
          _typeName: 'VirtualDeviceConnectInfo',
          startConnected: true,
          allowGuestControl: true,
          connected: false,
        },
      },
    })),
  ];
  return {
    name,
    guestId: guestId ?? 'debian12_64Guest',
    numCPUs: cpus,
    memoryMB: memoryMiB,
    firmware: firmware === 'uefi' ? 'efi' : 'bios',
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: `[${DATASTORE}]` },
    deviceChange: devices.map((one) => ({ _typeName: 'VirtualDeviceConfigSpec', operation: 'add', ...one })),
    extraConfig: Object.entries(options).map(([key, value]) => ({
      _typeName: 'OptionValue',
      key,
      value: { _typeName: 'string', _value: value },
    })),
  };
}

function uuidBeginningWith(wwn: string): string {
  const digits = wwn.toLowerCase() + randomUUID().replaceAll('-', '').slice(wwn.length);
  return [8, 12, 16, 20, 32].map((end, index, ends) => digits.slice(ends[index - 1] ?? 0, end)).join('-');
}
