import { behaviourFigures, metered } from '../behaving';
import { type Benchmark } from '../benchmark';
import { type Endpoint } from '../endpoints';
import { runJob } from '../ours/run-job';
import { findColdsnap } from '../peers/coldsnap';
import { Site } from '../site';
import { checkSnapshot, LEAN_ENDPOINT, putCeiling, uploads, versionOf } from './put';

const VM = 'vm';
const DISK = 'system';

export const restore: Benchmark = {
  name: 'restore',
  sizeMiB: 4096,
  pairs: 5,
  behaves: true,
  async prepare(workspace, { sizeMiB, behaviour }) {
    const coldsnap = behaviour === undefined ? await findColdsnap() : undefined;
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
          return metered(ebs, behaviour, async () => {
            const job = { vms: [VM], runId: site.newRunId() };
            const { run, output } = await runJob('restore', job, site.newWorker());
            await checkSnapshot(ebs, output[0]?.snapshotId ?? '', disk);
            return run;
          });
        },
      },
      ...(coldsnap === undefined
        ? {}
        : { peer: uploads(coldsnap, { endpoint: ebs, directory: workspace.directory, disk }) }),
      ...behaviourFigures(disk.dataBlocks, behaviour),
      blocks: disk.dataBlocks,
      notes: { ...versionOf(coldsnap), endpoint: LEAN_ENDPOINT, repository: "the sandbox's own S3" },
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
