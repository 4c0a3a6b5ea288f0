import { behaviourFigures, metered } from '../behaving';
import { type Benchmark, type Ceiling, type Side } from '../benchmark';
import { putRequests, sendAll } from '../ceiling';
import { type MadeDisk } from '../disk';
import { type Endpoint, type LeanEndpoint, REGION } from '../endpoints';
import { runJob } from '../ours/run-job';
import { type Coldsnap, findColdsnap } from '../peers/coldsnap';

export const put: Benchmark = {
  name: 'put',
  sizeMiB: 4096,
  pairs: 5,
  behaves: true,
  async prepare(workspace, { sizeMiB, behaviour }) {
    const coldsnap = behaviour === undefined ? await findColdsnap() : undefined;
    const disk = await workspace.disk(sizeMiB);
    const endpoint = await workspace.leanEndpoint();
    const { directory } = workspace;
    const surroundings = { directory, env: { AWS_ENDPOINT_URL: endpoint.url } };
    return {
      ours: {
        name: 'lifeboat',
        async run(verify) {
          await endpoint.tell({ order: 'verify', verify });
          const { path, sizeBytes } = disk;
          return metered(endpoint, behaviour, async () => {
            const { run, output } = await runJob('put', { region: REGION, path, sizeBytes }, surroundings);
            await checkSnapshot(endpoint, output.snapshotId, disk);
            return run;
          });
        },
      },
      ...(coldsnap === undefined ? {} : { peer: uploads(coldsnap, { endpoint, directory, disk }) }),
      ...behaviourFigures(disk.dataBlocks, behaviour),
      blocks: disk.dataBlocks,
      notes: { ...versionOf(coldsnap), endpoint: LEAN_ENDPOINT },
      ceiling: () => putCeiling(endpoint, disk),
      endpointCpuSeconds: () => endpoint.cpuSeconds(),
    };
  },
};

/** The peer of all that copies a disk into a snapshot. */
export function uploads(
  coldsnap: Coldsnap,
  { endpoint, directory, disk }: { endpoint: LeanEndpoint; directory: string; disk: MadeDisk },
): Side {
  return {
    name: 'coldsnap upload',
    async run(verify) {
      await endpoint.tell({ order: 'verify', verify });
      const { usage, snapshotId } = await coldsnap.upload(endpoint.url, directory, disk.path);
      await checkSnapshot(endpoint, snapshotId, disk);
      return usage;
    },
  };
}

/** For a benchmark's notes. */
export const versionOf = (coldsnap: Coldsnap | undefined): Record<string, string> =>
  coldsnap === undefined ? {} : { coldsnap: coldsnap.version };

export const LEAN_ENDPOINT =
  'bench/endpoint: blocks are checked against their headers and counted, not kept; in the untimed pair their SHA-256, too';

/** Checks that a snapshot is completed and holds that disk. @throws Error */
export async function checkSnapshot(
  endpoint: LeanEndpoint,
  snapshotId: string,
  disk: MadeDisk,
): Promise<void> {
  const { sumsPath } = disk;
  const { state, firstDifference } = await endpoint.tell({ order: 'compare', snapshotId, sumsPath });
  if (state !== 'completed') throw new Error(`The snapshot ${snapshotId} is ${state}.`);
  if (firstDifference !== undefined)
    throw new Error(`Block ${firstDifference} of ${snapshotId} is not that of ${disk.path}.`);
}

/** Time of sending a disk's blocks without reading or hashing them. */
export async function putCeiling(endpoint: LeanEndpoint, disk: MadeDisk): Promise<Ceiling> {
  await endpoint.tell({ order: 'verify', verify: false });
  const { snapshotId } = await endpoint.tell({
    order: 'add snapshot',
    sizeGiB: Math.ceil(disk.sizeBytes / 2 ** 30),
  });
  const indexes = Array.from({ length: disk.dataBlocks }, (_, index) => index);
  return measureCeiling(endpoint, indexes.length, () =>
    sendAll(endpoint.url, indexes, putRequests(snapshotId)),
  );
}

export async function measureCeiling(
  endpoint: Endpoint,
  blocks: number,
  work: () => Promise<void>,
): Promise<Ceiling> {
  const cpu = await endpoint.cpuSeconds();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  return {
    blocksPerSecond: Math.round(blocks / seconds),
    endpointCpuMsPerBlock: (((await endpoint.cpuSeconds()) - cpu) * 1000) / blocks,
  };
}
