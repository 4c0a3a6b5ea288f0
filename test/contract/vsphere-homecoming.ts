import { open } from 'node:fs/promises';
import { type DiskConfiguration, type Hypervisor, type VmConfiguration } from '../../hypervisor/port';
import { readVsphereSettings, vsphereHypervisor } from '../../hypervisor/vsphere';

/** A VM's way home, as the activities of a failback go it, each step of which may be done again. */

export const HARDWARE: Omit<VmConfiguration, 'disks'> = {
  cpus: 1,
  memoryMiB: 64,
  firmware: 'bios',
  nics: [{ network: 'VM Network', mac: '00:50:56:00:00:01' }],
  guestOs: 'debian12_64Guest',
};
export const MARK = 'lifeboat:shop:run-1';
export const VM = 'web';

/** Sizes that are no multiple of 1 KiB. */
export const DISKS: DiskConfiguration[] = [
  { key: 'system', sizeBytes: 2 * 2 ** 20 + 3 * 512, slot: 0, boot: true },
  { key: 'data', sizeBytes: 2 ** 20 + 512, slot: 1, boot: false },
];

export async function bringHome(hypervisor: Hypervisor): Promise<void> {
  await hypervisor.createVm(VM, HARDWARE, MARK);
  for (const disk of DISKS) await hypervisor.addDisk(VM, disk);
  // Started by a try whose answer was lost: its disks are its guest's.
  if ((await hypervisor.describeVm(VM)).power === 'running') return;
  for (const [index, { key, sizeBytes }] of DISKS.entries()) {
    const disk = await hypervisor.openDisk(VM, key);
    try {
      const file = await open(disk.path, 'r+');
      try {
        const bytes = Buffer.alloc(512, 0x40 + index);
        await file.write(bytes, 0, bytes.length, sizeBytes - bytes.length);
      } finally {
        await file.close();
      }
    } finally {
      await disk.close();
    }
  }
  await hypervisor.configureVm(VM, { ...HARDWARE, cpus: 2 });
  await hypervisor.powerOn(VM);
}

/** As a process of its own, to be killed: settings, state directory, and `home` or `undo`. */
export async function main([settings = '', stateDirectory = '', what]: string[]): Promise<void> {
  const hypervisor = vsphereHypervisor({ settings: readVsphereSettings(settings), stateDirectory });
  await (what === 'undo' ? hypervisor.deleteVm(VM) : bringHome(hypervisor));
  await hypervisor.close();
}
