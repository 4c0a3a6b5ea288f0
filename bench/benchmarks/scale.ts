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
/** 50 disks; a controller has room for 15. */
const MANY_VMS = 10;
const DISKS_A_VM = 5;
const MANY_DISKS = MANY_VMS * DISKS_A_VM;

/** VMs by name, with their disks by key. */
type Vms = Record<string, Record<string, MadeDisk>>;

/** About the same data in three shapes. */
type Shapes = Record<'plain' | 'large' | 'many', Vms>;

export const scale: Benchmark = {
  name: 'scale',
  sizeMiB: 2 ** 20,
  pairs: 1,
  async prepare(workspace, { sizeMiB }) {
    const shapes = await makeShapes(workspace, sizeMiB);
    const s3 = await workspace.sandboxEndpoint();
    const ebs = await workspace.leanEndpoint();
    const site = await Site.create(workspace, s3, { blocksUrl: ebs.url });
    for (const vms of Object.values(shapes))
      for (const [vm, disks] of Object.entries(vms)) await site.importVm(vm, disks);
    return {
      ours: {
        name: 'lifeboat',
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const runs: Run[] = [];
          const counts: Record<string, number> = {};
          for (const [shape, vms] of Object.entries(shapes)) {
            const blocks = dataBlocks(vms);
            for (const what of ['backup', 'restore'] as const) {
              const run = await (what === 'backup' ? backUp(site, vms) : restore(site, ebs, vms));
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
      blocks: 2 * Object.values(shapes).reduce((sum, vms) => sum + dataBlocks(vms), 0),
      notes: {
        endpoint: LEAN_ENDPOINT,
        plain: 'one disk, full of data',
        large: `one disk of ${sizeMiB} MiB with as much data`,
        many: `${MANY_DISKS} disks of ${MANY_VMS} VMs, which together hold about as much`,
      },
      endpointCpuSeconds: () => cpuOf(ebs, s3),
    };
  },
};

const dataBlocks = (vms: Vms): number =>
  Object.values(vms)
    .flatMap((disks) => Object.values(disks))
    .reduce((sum, disk) => sum + disk.dataBlocks, 0);

async function makeShapes(workspace: Workspace, sizeMiB: number): Promise<Shapes> {
  const dataMiB = Math.min(MOST_DATA_MIB, Math.ceil(sizeMiB / 4));
  // A quarter of a full disk is zeros; sizes are whole turns of the mix, which are 8 MiB.
  const fullMiB = Math.ceil(dataMiB / 0.75 / 8) * 8;
  const small = await workspace.disk(Math.ceil(fullMiB / MANY_DISKS / 8) * 8);
  const disks = Object.fromEntries(Array.from({ length: DISKS_A_VM }, (_, n) => [`disk${n}`, small]));
  return {
    plain: { plain: { system: await workspace.disk(fullMiB) } },
    large: { large: { system: await workspace.sparseDisk(sizeMiB, dataMiB) } },
    many: Object.fromEntries(Array.from({ length: MANY_VMS }, (_, n) => [`many${n}`, disks])),
  };
}

async function backUp(site: Site, vms: Vms): Promise<Run> {
  const job = { vms: Object.keys(vms), backupId: site.newBackupId(), runId: site.newRunId() };
  return (await runJob('backup', job, site.newWorker())).run;
}

async function restore(site: Site, ebs: LeanEndpoint, vms: Vms): Promise<Run> {
  const job = { vms: Object.keys(vms), runId: site.newRunId() };
  const { run, output } = await runJob('restore', job, site.newWorker());
  for (const [vm, disks] of Object.entries(vms))
    for (const [key, disk] of Object.entries(disks)) {
      const restored = output.find((candidate) => candidate.vm === vm && candidate.key === key);
      await checkSnapshot(ebs, restored?.snapshotId ?? '', disk);
    }
  return run;
}
