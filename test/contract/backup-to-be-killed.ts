import { open } from 'node:fs/promises';
import { vsphereHypervisor } from '../../hypervisor/vsphere';
import { readVsphereSettings } from '../../hypervisor/vsphere/settings';

/**
 * A backup of a VM's first disk, from the snapshot to its removal, as a process of its own that a test kills in the middle.
 * Prints a line when it reads the disk, and waits there where it is told to.
 */
async function main([settingsFile = '', stateDirectory = '', vm = '', id = '', waitReading = '']: string[]) {
  const hypervisor = vsphereHypervisor({ settings: readVsphereSettings(settingsFile), stateDirectory });
  const { configuration } = await hypervisor.snapshotVm(vm, id);
  const key = configuration.disks[0]?.key ?? '';
  const disk = await hypervisor.openSnapshotDisk(vm, id, key);
  await hypervisor.changedAreas(vm, id, key);
  const file = await open(disk.path, 'r');
  await file.read(Buffer.alloc(512), 0, 512, 0);
  console.log('reading');
  if (waitReading !== '') await new Promise(() => setInterval(() => {}, 1000));
  await file.close();
  await disk.close();
  await hypervisor.releaseSnapshot(vm, id);
  await hypervisor.close();
}

void main(process.argv.slice(2));
