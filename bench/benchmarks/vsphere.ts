import { toolOutput } from '../../host/run-tool';
import { type Benchmark, type Side } from '../benchmark';
import { type MadeDisk } from '../disk';
import { type Endpoint } from '../endpoints';
import { runJob } from '../ours/run-job';
import { localPrimary, type Primary, vspherePrimary } from '../primary';
import { Site } from '../site';
import { type Workspace } from '../workspace';

/** What the adapter for vSphere costs: the same work on the same disk, through a simulated vCenter and without one. */

const VM = 'vm';
const COMPARE_SECONDS = 600;
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
  return {
    name,
    async run() {
      await site.deleteObjects();
      const job = { vms: [VM], backupId: site.newBackupId(), runId: site.newRunId() };
      const { run, output } = await runJob('backup', job, site.newWorker());
      if (output.blocks !== disk.dataBlocks)
        throw new Error(`The backup stored ${output.blocks} blocks of ${disk.dataBlocks}.`);
      return run;
    },
  };
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
    const side = async (name: string, format: string, primary: Primary): Promise<Side> => {
      const site = await Site.create(workspace, endpoint, { primary });
      const disk = { key: 'system', sizeBytes: made.sizeBytes, slot: 0, boot: true };
      return {
        name,
        async run(verify) {
          await site.emptyVm(VM, disk);
          const job = { vm: VM, runId: site.newRunId(), disk, snapshotId };
          const { run, output } = await runJob('failback', job, site.newWorker());
          if (output.blocks !== made.dataBlocks)
            throw new Error(`${output.blocks} blocks were copied of ${made.dataBlocks}.`);
          if (verify)
            await toolOutput(
              'qemu-img',
              ['compare', '-f', 'raw', '-F', format, path, primary.image(VM, disk.key)],
              { timeoutSeconds: COMPARE_SECONDS },
            );
          return run;
        },
      };
    };
    return {
      ours: await side('lifeboat, vCenter', 'raw', await vspherePrimary(workspace)),
      peer: await side('lifeboat, directory', 'vmdk', await localPrimary(workspace)),
      blocks: made.dataBlocks,
      notes: NOTE,
      endpointCpuSeconds: () => endpoint.cpuSeconds(),
    };
  },
};
