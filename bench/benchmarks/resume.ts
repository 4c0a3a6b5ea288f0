import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark } from '../benchmark';
import { type LeanEndpoint } from '../endpoints';
import { runJob, startJob } from '../ours/run-job';
import { Site } from '../site';
import { checkSnapshot, LEAN_ENDPOINT } from './put';
import { cpuOf } from './restore';

const VM = 'vm';
const DISK = 'system';
/** Milliseconds between two looks at how far a copy is: some blocks. */
const LOOK_MS = 5;

export const resume: Benchmark = {
  name: 'resume',
  sizeMiB: 4096,
  pairs: 3,
  async prepare(workspace, { sizeMiB }) {
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
        name: 'restore, killed at 50 %',
        blocks: Math.ceil(disk.dataBlocks / 2),
        async run(verify) {
          await ebs.tell({ order: 'verify', verify });
          const job = { vms: [VM], runId: site.newRunId() };
          const worker = site.newWorker();
          const before = await blockCalls(ebs);
          const child = startJob('restore', job, worker);
          const ended = new Promise<void>((done) => child.once('exit', () => done()));
          const firstCall = await waitForCalls(ebs, before, child);
          const half = await waitForCalls(ebs, before + Math.floor(disk.dataBlocks / 2), child);
          child.kill('SIGKILL');
          await ended;
          const killedAt = performance.now();
          const sent = await blockCalls(ebs);
          const again = runJob('restore', job, worker);
          const onAgain = await waitForCalls(ebs, sent);
          const { run, output } = await again;
          const snapshotId = output[0]?.snapshotId ?? '';
          await checkSnapshot(ebs, snapshotId, disk);
          const { puts, written } = await ebs.tell({ order: 'compare', snapshotId, sumsPath: disk.sumsPath });
          const blocksPerSecond = (disk.dataBlocks / 2 / (half - firstCall)) * 1000;
          const counts = {
            blocksSentAgain: puts - written,
            secondsOfWorkDoneAgain: (puts - written) / blocksPerSecond,
            secondsUntilGoingOn: (onAgain - killedAt) / 1000,
          };
          return { ...run, counts };
        },
      },
      blocks: disk.dataBlocks,
      notes: {
        endpoint: LEAN_ENDPOINT,
        'the times': 'those of the second process, which goes on from the progress recorded on disk',
        'going on':
          "from the kill, started again at once; a Temporal server adds the activity's heartbeat timeout",
      },
      endpointCpuSeconds: () => cpuOf(ebs, s3),
    };
  },
};

async function blockCalls(endpoint: LeanEndpoint): Promise<number> {
  return (await endpoint.tell({ order: 'count' })).blockCalls;
}

/**
 * Waits until the endpoint has been called more often than that.
 * @returns when, by performance.now()
 * @throws Error where the process that should call ends before
 */
async function waitForCalls(
  endpoint: LeanEndpoint,
  calls: number,
  caller?: { exitCode: number | null },
): Promise<number> {
  while ((await blockCalls(endpoint)) <= calls) {
    if (typeof caller?.exitCode === 'number')
      throw new Error(`The restore ended with ${caller.exitCode} before it was half-way.`);
    await sleep(LOOK_MS);
  }
  return performance.now();
}
