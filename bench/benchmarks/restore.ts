import { type Benchmark } from '../benchmark';
import { type Endpoint } from '../endpoints';
import { runJob } from '../ours/run-job';
import { findColdsnap } from '../peers/coldsnap';
import { Site } from '../site';
import { checkSnapshot, LEAN_ENDPOINT, putCeiling } from './put';

const VM = 'vm';
const DISK = 'system';

export const restore: Benchmark = {
  name: 'restore',
  sizeMiB: 4096,
  pairs: 5,
  async prepare(workspace, { sizeMiB }) {
    const coldsnap = await findColdsnap();
    const disk = await workspace.disk(sizeMiB);
    const s3 = await workspace.sandboxEndpoint();
    const ebs = await workspace.leanEndpoint();
    const site = await Site.create(workspace, s3, { blocksUrl: ebs.url });
    await site.importVm(VM, { [DISK]: disk });
    await runJob(
      'backup',
      { vms: [VM], backupId: site.newBackupId(), runId: site.newRunId() },
      site.newWorker(),
    );
    return {
      ours: {
        name: 'lifeboat',
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const { run, output } = await runJob(
            'restore',
            { vms: [VM], runId: site.newRunId() },
            site.newWorker(),
          );
          await checkSnapshot(ebs, output[0]?.snapshotId ?? '', disk);
          return run;
        },
      },
      peer: {
        name: 'coldsnap upload',
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const { usage, snapshotId } = await coldsnap.upload(ebs.url, workspace.directory, disk.path);
          await checkSnapshot(ebs, snapshotId, disk);
          return usage;
        },
      },
      blocks: disk.dataBlocks,
      notes: { coldsnap: coldsnap.version, endpoint: LEAN_ENDPOINT, repository: "the sandbox's own S3" },
      ceiling: () => putCeiling(ebs, disk),
      endpointCpuSeconds: () => cpuOf(ebs, s3),
    };
  },
};

/** CPU of several endpoints together. */
export async function cpuOf(...endpoints: Endpoint[]): Promise<number> {
  let seconds = 0;
  for (const endpoint of endpoints) seconds += await endpoint.cpuSeconds();
  return seconds;
}
