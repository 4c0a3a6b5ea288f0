import { type Benchmark, type Run } from '../benchmark';
import { type MadeDisk } from '../disk';
import { type LeanEndpoint } from '../endpoints';
import { runJob } from '../ours/run-job';
import { Site } from '../site';
import { type Workspace } from '../workspace';
import { checkSnapshot, LEAN_ENDPOINT } from './put';
import { cpuOf } from './restore';

/** Data of the sparse disk, and about that of the many together. */
const MOST_DATA_MIB = 2048;
const MANY_DISKS = 50;

/** VMs that hold about the same data, in other shapes. */
type Shape = 'plain' | 'large' | 'many';

export const scale: Benchmark = {
  name: 'scale',
  about: 'a 1 TiB sparse disk with 2 GiB of data, and 50 disks at once: memory of the worker, CPU a block',
  sizeMiB: 2 ** 20,
  pairs: 1,
  async prepare(workspace, { sizeMiB }) {
    const shapes = await makeShapes(workspace, sizeMiB);
    const s3 = await workspace.sandboxEndpoint();
    const ebs = await workspace.leanEndpoint();
    const site = await Site.create(workspace, s3, ebs.url);
    for (const [vm, disks] of Object.entries(shapes)) await site.importVm(vm, disks);
    return {
      ours: {
        name: 'lifeboat',
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const runs: Run[] = [];
          const counts: Record<string, number> = {};
          for (const [shape, disks] of Object.entries(shapes)) {
            const blocks = Object.values(disks).reduce((sum, { dataBlocks }) => sum + dataBlocks, 0);
            for (const what of ['backup', 'restore'] as const) {
              const run = await (what === 'backup' ? backUp(site, shape) : restore(site, ebs, shape, disks));
              runs.push(run);
              counts[`${what} ${shape}: MiB resident`] = Math.round(run.maxRssMiB);
              counts[`${what} ${shape}: seconds`] = run.wallSeconds;
              counts[`${what} ${shape}: CPU ms a block`] = ((run.copy?.cpuSeconds ?? NaN) * 1000) / blocks;
            }
          }
          await site.deleteObjects();
          return {
            wallSeconds: runs.reduce((sum, { wallSeconds }) => sum + wallSeconds, 0),
            cpuSeconds: runs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
            maxRssMiB: Math.max(...runs.map(({ maxRssMiB }) => maxRssMiB)),
            counts,
          };
        },
      },
      // Backup and restore move each block once.
      blocks: 2 * Object.values(shapes).reduce((sum, disks) => sum + dataBlocks(disks), 0),
      notes: {
        endpoint: LEAN_ENDPOINT,
        plain: 'one disk, full of data',
        large: `one disk of ${sizeMiB} MiB with as much data`,
        many: `one VM with ${MANY_DISKS} disks, which together hold about as much`,
      },
      endpointCpuSeconds: () => cpuOf(ebs, s3),
    };
  },
};

const dataBlocks = (disks: Record<string, MadeDisk>): number =>
  Object.values(disks).reduce((sum, disk) => sum + disk.dataBlocks, 0);

async function makeShapes(
  workspace: Workspace,
  sizeMiB: number,
): Promise<Record<Shape, Record<string, MadeDisk>>> {
  const dataMiB = Math.min(MOST_DATA_MIB, Math.ceil(sizeMiB / 4));
  // A quarter of a full disk is zeros; sizes are whole turns of the mix, which are 8 MiB.
  const fullMiB = Math.ceil(dataMiB / 0.75 / 8) * 8;
  const small = await workspace.disk(Math.ceil(fullMiB / MANY_DISKS / 8) * 8);
  return {
    plain: { system: await workspace.disk(fullMiB) },
    large: { system: await workspace.sparseDisk(sizeMiB, dataMiB) },
    many: Object.fromEntries(Array.from({ length: MANY_DISKS }, (_, n) => [`disk${n}`, small])),
  };
}

async function backUp(site: Site, vm: string): Promise<Run> {
  const job = { vm, backupId: site.newBackupId(), runId: site.newRunId() };
  return (await runJob('backup', job, site.newWorker())).run;
}

async function restore(
  site: Site,
  ebs: LeanEndpoint,
  vm: string,
  disks: Record<string, MadeDisk>,
): Promise<Run> {
  const { run, output } = await runJob('restore', { vm, runId: site.newRunId() }, site.newWorker());
  for (const [key, disk] of Object.entries(disks))
    await checkSnapshot(ebs, output[key]?.snapshotId ?? '', disk);
  return run;
}
