import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run as runProgram } from '../../host/run';
import { type Benchmark } from '../benchmark';
import { getRequests, sendAll } from '../ceiling';
import { kindOf } from '../disk';
import { runJob } from '../ours/run-job';
import { findColdsnap } from '../peers/coldsnap';
import { Site } from '../site';
import { measureCeiling } from './put';

const VM = 'vm';
/** Comparing two images of some gigabytes, on a busy machine. */
const COMPARE_MILLISECONDS = 600_000;

export const failback: Benchmark = {
  name: 'failback',
  sizeMiB: 4096,
  pairs: 5,
  async prepare(workspace, { sizeMiB }) {
    const coldsnap = await findColdsnap();
    const made = await workspace.disk(sizeMiB);
    const endpoint = await workspace.leanEndpoint();
    const site = await Site.create(workspace, endpoint);
    const { path, sumsPath, sizeBytes } = made;
    const { snapshotId } = await endpoint.tell({ order: 'add disk', path, sumsPath });
    const disk = { key: 'system', sizeBytes, slot: 0, boot: true };
    const downloaded = join(workspace.directory, 'downloaded.raw');
    const compare = (format: string, image: string) =>
      runProgram('qemu-img', ['compare', '-f', 'raw', '-F', format, path, image], COMPARE_MILLISECONDS);
    return {
      ours: {
        name: 'lifeboat',
        async run(verify) {
          await site.emptyVm(VM, disk);
          const job = { vm: VM, runId: site.newRunId(), disk, snapshotId };
          const { run, output } = await runJob('failback', job, site.newWorker());
          if (output.blocks !== made.dataBlocks)
            throw new Error(`${output.blocks} blocks were copied of ${made.dataBlocks}.`);
          if (verify) await compare('vmdk', site.image(VM, disk.key));
          return run;
        },
      },
      peer: {
        name: 'coldsnap download',
        async run(verify) {
          await rm(downloaded, { force: true });
          const usage = await coldsnap.download(endpoint.url, workspace.directory, snapshotId, downloaded);
          if (verify) await compare('raw', downloaded);
          return usage;
        },
      },
      blocks: made.dataBlocks,
      notes: {
        coldsnap: coldsnap.version,
        endpoint:
          'bench/endpoint: blocks come from a file in the page cache, their checksums known beforehand',
        ours: 'a flat VMDK, as VMware has them and failback makes them: written without QEMU between',
      },
      ceiling() {
        const indexes = Array.from({ length: made.blocks }, (_, n) => n).filter((n) => kindOf(n) !== 'zeros');
        return measureCeiling(endpoint, indexes.length, () =>
          sendAll(endpoint.url, indexes, getRequests(snapshotId)),
        );
      },
      endpointCpuSeconds: () => endpoint.cpuSeconds(),
    };
  },
};
