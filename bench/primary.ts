import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { localHypervisor } from '../hypervisor/local';
import { type Hypervisor, type VmConfiguration } from '../hypervisor/port';
import { readVsphereSettings, vsphereHypervisor } from '../hypervisor/vsphere';
import { importVm } from '../sandbox/datacenter/datacenter';
import { startSimulatedVcenter } from '../sandbox/vcenter/simulator';
import { type Workspace } from './workspace';

/** A disk's bytes in a file. */
export interface DiskImage {
  path: string;
  /** As QEMU calls it. */
  format: 'raw' | 'vmdk';
}

/** What runs the VMs whose disks are copied. */
export interface Primary {
  hypervisor: Hypervisor;
  /** LIFEBOAT_HYPERVISOR of a worker. */
  setting: string;
  /** The image of a disk that its hypervisor made, or that was imported. */
  image(vm: string, key: string): DiskImage;
  /** Puts a VM with those raw disks in, powered off. */
  importVm(name: string, configuration: VmConfiguration, disks: Record<string, string>): Promise<void>;
}

/** VMs in a directory. */
export async function localPrimary(workspace: Workspace): Promise<Primary> {
  const directory = join(workspace.directory, 'datacenter');
  await mkdir(join(directory, 'vms'), { recursive: true });
  return {
    hypervisor: localHypervisor({ directory }),
    setting: `local:${directory}`,
    image: (vm, key) => ({ path: join(directory, 'vms', vm, `${key}.vmdk`), format: 'vmdk' }),
    importVm: (name, configuration, disks) =>
      importVm(
        { directory },
        { name, configuration, rawDisks: Object.entries(disks).map(([key, path]) => ({ key, path })) },
      ),
  };
}

/** VMs of a simulated vCenter, this host being its backup proxy. */
export async function vspherePrimary(workspace: Workspace): Promise<Primary> {
  const directory = join(workspace.directory, 'vcenter');
  const vcenter = await startSimulatedVcenter({ directory, boots: false });
  workspace.closing({ close: () => vcenter.stop() });
  const { url, ca, user, password, deviceDirectory: devices, proxyUuid: proxy, datastoreDirectory } = vcenter;
  const credentials = join(directory, 'account.yaml');
  await writeFile(credentials, stringify({ user, password }), { mode: 0o600 });
  const settings = join(directory, 'settings.yaml');
  await writeFile(settings, stringify({ url, ca, credentials, devices, proxy }));
  const hypervisor = workspace.closing(
    vsphereHypervisor({ settings: readVsphereSettings(settings), stateDirectory: join(directory, 'state') }),
  );
  const image = (vm: string, key: string): DiskImage => ({
    path: join(datastoreDirectory, vm, `${key}-flat.vmdk`),
    format: 'raw',
  });
  return {
    hypervisor,
    setting: `vsphere:${settings}`,
    image,
    async importVm(name, { disks, ...hardware }, files) {
      await hypervisor.createVm(name, hardware);
      for (const disk of disks) {
        await hypervisor.addDisk(name, disk);
        await copyFile(files[disk.key] ?? '', image(name, disk.key).path);
      }
    },
  };
}
