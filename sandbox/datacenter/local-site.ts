import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { localHypervisor } from '../../hypervisor/local';
import { type SandboxConfig } from '../config';
import { sandboxPaths } from '../supervisor/processes';
import { createDatacenter, destroyDatacenter, importVm, stopDatacenter } from './datacenter';
import { type ListedVm, type PrimarySite } from './primary-site';

/** A data centre whose VMs are directories. */
export function localSite(config: SandboxConfig): PrimarySite {
  const directory = sandboxPaths(config).datacenter;
  const hypervisor = localHypervisor({ directory });
  return {
    hypervisor,
    async open() {
      await createDatacenter({
        directory,
        network: config.network,
        loopbackOctet: config.loopbackOctet,
        ...(config.runner === 'no-boot' ? { boots: false } : {}),
      });
    },
    untilServing: () => Promise.resolve(),
    importVm: (vm) => importVm({ directory }, vm),
    destroy: () => destroyDatacenter(directory),
    survivors: () => hypervisor.listVms(),
    stop: () => stopDatacenter(directory),
    rawFile: (vm, key) => join(directory, 'vms', vm, `${key}-flat.vmdk`),
    /** The directories are listed, not the VMs only: half a VM is a leftover, too. */
    async list() {
      const whole = new Set(await hypervisor.listVms());
      const home = join(directory, 'vms');
      return Promise.all(
        (await readdir(home)).map(async (name): Promise<ListedVm> => {
          const disks = whole.has(name)
            ? (await hypervisor.describeVm(name)).disks.map(({ key }) => key)
            : [];
          // A disk is a VMDK; those that a failback makes keep their bytes in a file beside the descriptor.
          const own = disks.flatMap((key) => [`${key}.vmdk`, `${key}-flat.vmdk`]);
          const files = await readdir(join(home, name), { recursive: true });
          return {
            name,
            disks,
            besides: files.filter((file) => DISK_FILE.test(file) && !own.includes(file)),
          };
        }),
      );
    },
  };
}

/** Disks and their overlays; and all below the places of snapshots, of disks handed out, and of what is kept of a held VM. */
const DISK_FILE = /\.(vmdk|qcow2|raw)$|^(snapshots|open|held)\//;
