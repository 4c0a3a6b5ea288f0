import { type Benchmark, type Side } from '../benchmark';
import { backUpWhole, failBackWhole } from '../copies';
import { type MadeDisk } from '../disk';
import { type Endpoint } from '../endpoints';
import { localPrimary, type Primary, vspherePrimary } from '../primary';
import { Site } from '../site';
import { type Workspace } from '../workspace';

/** What the adapter for vSphere costs: the same work on the same disk, through a simulated vCenter and without one. */

const VM = 'vm';
const NOTE = {
  endpoint: "the sandbox's own S3, or bench/endpoint for EBS; both sides have the same",
  vcenter:
    "govmomi's simulator: disks are attached by FUSE of QEMU for reading, as a link to the file for writing; a real one reads by its own stack",
};

export const vsphereBackup: Benchmark = {
  name: 'vsphere-backup',
  sizeMiB: 2048,
  pairs: 3,
  async prepare(workspace, { sizeMiB }) {
    const disk = await workspace.disk(sizeMiB);
    const endpoint = await workspace.sandboxEndpoint();
    return {
      ours: await backupSide('lifeboat, vCenter', workspace, endpoint, disk, await vspherePrimary(workspace)),
      peer: await backupSide('lifeboat, directory', workspace, endpoint, disk, await localPrimary(workspace)),
      blocks: disk.dataBlocks,
      notes: NOTE,
      endpointCpuSeconds: () => endpoint.cpuSeconds(),
    };
  },
};

async function backupSide(
  name: string,
  workspace: Workspace,
  endpoint: Endpoint,
  disk: MadeDisk,
  primary: Primary,
): Promise<Side> {
  const site = await Site.create(workspace, endpoint, { primary });
  await site.importVm(VM, { system: disk });
  return { name, run: () => backUpWhole(site, VM, disk) };
}

export const vsphereFailback: Benchmark = {
  name: 'vsphere-failback',
  sizeMiB: 2048,
  pairs: 3,
  async prepare(workspace, { sizeMiB }) {
    const made = await workspace.disk(sizeMiB);
    const endpoint = await workspace.leanEndpoint();
    const { path, sumsPath } = made;
    const { snapshotId } = await endpoint.tell({ order: 'add disk', path, sumsPath });
    const side = async (name: string, primary: Primary): Promise<Side> => {
      const site = await Site.create(workspace, endpoint, { primary });
      return { name, run: (verify) => failBackWhole(site, VM, { made, snapshotId }, verify) };
    };
    return {
      ours: await side('lifeboat, vCenter', await vspherePrimary(workspace)),
      peer: await side('lifeboat, directory', await localPrimary(workspace)),
      blocks: made.dataBlocks,
      notes: NOTE,
      endpointCpuSeconds: () => endpoint.cpuSeconds(),
    };
  },
};
