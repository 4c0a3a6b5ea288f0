import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { behaviourFigures, metered } from '../behaving';
import { type Benchmark } from '../benchmark';
import { getRequests, sendAll } from '../ceiling';
import { compareWith, failBackWhole } from '../copies';
import { kindOf } from '../disk';
import { findColdsnap } from '../peers/coldsnap';
import { Site } from '../site';
import { measureCeiling, versionOf } from './put';

const VM = 'vm';

export const failback: Benchmark = {
  name: 'failback',
  sizeMiB: 4096,
  pairs: 5,
  behaves: true,
  async prepare(workspace, { sizeMiB, behaviour }) {
    const coldsnap = behaviour === undefined ? await findColdsnap() : undefined;
    const made = await workspace.disk(sizeMiB);
    const endpoint = await workspace.leanEndpoint();
    const site = await Site.create(workspace, endpoint);
    const { path, sumsPath } = made;
    const { snapshotId } = await endpoint.tell({ order: 'add disk', path, sumsPath });
    const downloaded = join(workspace.directory, 'downloaded.raw');
    return {
      ours: {
        name: 'lifeboat',
        run: (verify) =>
          metered(endpoint, behaviour, () => failBackWhole(site, VM, { made, snapshotId }, verify)),
      },
      ...(coldsnap === undefined
        ? {}
        : {
            peer: {
              name: 'coldsnap download',
              async run(verify) {
                await rm(downloaded, { force: true });
                const { directory } = workspace;
                const usage = await coldsnap.download(endpoint.url, directory, snapshotId, downloaded);
                if (verify) await compareWith(made, { path: downloaded, format: 'raw' });
                return usage;
              },
            },
          }),
      ...behaviourFigures(made.dataBlocks, behaviour),
      blocks: made.dataBlocks,
      notes: {
        ...versionOf(coldsnap),
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
