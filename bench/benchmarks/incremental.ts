import { type Benchmark } from '../benchmark';
import { kindOf } from '../disk';
import { runJob } from '../ours/run-job';
import { Site } from '../site';
import { checkSnapshot, LEAN_ENDPOINT } from './put';
import { cpuOf } from './restore';

const VM = 'vm';
const DISK = 'system';
/** 1 %. */
const ONE_IN = 100;

export const incremental: Benchmark = {
  name: 'incremental',
  sizeMiB: 4096,
  pairs: 5,
  async prepare(workspace, { sizeMiB }) {
    const first = await workspace.disk(sizeMiB);
    const second = await workspace.changedDisk(sizeMiB, ONE_IN);
    const s3 = await workspace.sandboxEndpoint();
    const ebs = await workspace.leanEndpoint();
    const site = await Site.create(workspace, s3, { blocksUrl: ebs.url });
    await site.importVm(VM, { [DISK]: first });
    const recoveryPoint = site.newBackupId();
    await runJob('backup', { vms: [VM], backupId: recoveryPoint, runId: site.newRunId() }, site.newWorker());
    const { snapshotId: parent } = await ebs.tell({
      order: 'add disk',
      path: first.path,
      sumsPath: first.sumsPath,
    });

    const changed = Array.from({ length: Math.ceil(second.blocks / ONE_IN) }, (_, n) => n * ONE_IN).filter(
      (index) => kindOf(index) !== 'zeros',
    );
    await site.changeBlocks(VM, DISK, second, changed);
    await runJob(
      'backup',
      { vms: [VM], backupId: site.newBackupId(), runId: site.newRunId() },
      site.newWorker(),
    );
    return {
      ours: {
        name: 'restore of 1 %',
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const job = {
            vms: [VM],
            runId: site.newRunId(),
            parent: { recoveryPoint, snapshotIds: { [DISK]: parent } },
          };
          const { run, output } = await runJob('restore', job, site.newWorker());
          if (output[0]?.blocks !== changed.length)
            throw new Error(
              `${output[0]?.blocks} blocks were written, not the ${changed.length} that changed.`,
            );
          await checkSnapshot(ebs, output[0].snapshotId, second);
          return run;
        },
      },
      peer: {
        name: 'full restore',
        blocks: second.dataBlocks,
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const { run, output } = await runJob(
            'restore',
            { vms: [VM], runId: site.newRunId() },
            site.newWorker(),
          );
          await checkSnapshot(ebs, output[0]?.snapshotId ?? '', second);
          return run;
        },
      },
      blocks: changed.length,
      notes: { endpoint: LEAN_ENDPOINT, peer: 'our own full restore of the same backup' },
      further: (ours, peer) => ({
        copySecondsBeyond3Percent: (ours.copy?.wallSeconds ?? NaN) - 0.03 * (peer?.copy?.wallSeconds ?? NaN),
      }),
      endpointCpuSeconds: () => cpuOf(ebs, s3),
    };
  },
};
