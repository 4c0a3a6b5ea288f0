import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toolOutput } from '../../host/run-tool';
import { VmExistsError } from '../../hypervisor/port';
import { type Control } from '../vcenter/control';
import { type ImportedVm } from './datacenter';

/** Copying a disk of some gigabytes, on a busy machine. */
const COPY_SECONDS = 1800;
const DATASTORE = 'LocalDS_0';

/**
 * Puts a VM into a simulated vCenter, powered off. The simulator makes new disks, so their bytes are laid ready before and take
 * the place of the empty ones.
 * @throws VmExistsError
 */
export async function importIntoVcenter(
  control: Control,
  datastoreDirectory: string,
  vm: ImportedVm,
): Promise<void> {
  const { name, configuration, rawDisks } = vm;
  if (vm.uefiVariables !== undefined || configuration.diskController === 'sata')
    throw new Error(
      `VM "${name}" needs what the simulated vCenter does not give: its own firmware memory, or SATA.`,
    );
  if ((await control.lookUp(name)) !== undefined) throw new VmExistsError(name);
  const staging = join(datastoreDirectory, '.importing');
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging);
  for (const { key, path } of rawDisks)
    await toolOutput('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', path, join(staging, key)], {
      timeoutSeconds: COPY_SECONDS,
    });
  await control.register({
    name,
    guestId: configuration.guestOs,
    numCPUs: configuration.cpus,
    memoryMB: configuration.memoryMiB,
    firmware: configuration.firmware === 'uefi' ? 'efi' : 'bios',
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: `[${DATASTORE}]` },
    deviceChange: [
      added({ _typeName: 'ParaVirtualSCSIController', key: -1, busNumber: 0, sharedBus: 'noSharing' }),
      ...configuration.nics.map(({ mac, network }, index) =>
        added({
          _typeName: 'VirtualVmxnet3',
          key: -10 - index,
          addressType: 'manual',
          macAddress: mac,
          backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: network },
        }),
      ),
      ...configuration.disks.map(({ key, sizeBytes, slot }) => ({
        ...added({
          _typeName: 'VirtualDisk',
          key: -100 - slot,
          controllerKey: -1,
          unitNumber: slot,
          capacityInKB: Math.floor(sizeBytes / 1024),
          capacityInBytes: sizeBytes,
          backing: {
            _typeName: 'VirtualDiskFlatVer2BackingInfo',
            fileName: `[${DATASTORE}] ${name}/${key}.vmdk`,
            diskMode: 'persistent',
            thinProvisioned: true,
          },
        }),
        fileOperation: 'create',
      })),
    ],
  });
  for (const { key } of rawDisks)
    await rename(join(staging, key), join(datastoreDirectory, name, `${key}-flat.vmdk`));
  await rm(staging, { recursive: true });
}

const added = (device: Record<string, unknown>) => ({
  _typeName: 'VirtualDeviceConfigSpec',
  operation: 'add',
  device,
});
