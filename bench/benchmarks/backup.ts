import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { BLOCK_SIZE } from '../../blocks/port';
import { type Benchmark } from '../benchmark';
import { backUpWhole } from '../copies';
import { kindOf, type MadeDisk } from '../disk';
import { findRestic } from '../peers/restic';
import { Site } from '../site';

const VM = 'vm';
const RESTIC_PREFIX = 'restic';

export const backup: Benchmark = {
  name: 'backup',
  sizeMiB: 4096,
  pairs: 3,
  async prepare(workspace, { sizeMiB }) {
    const restic = await findRestic();
    const disk = await workspace.disk(sizeMiB);
    const endpoint = await workspace.sandboxEndpoint();
    const site = await Site.create(workspace, endpoint);
    await site.importVm(VM, { system: disk });
    const { directory } = workspace;
    const fixedBlocksBytes = await compressedBytes(disk);
    return {
      ours: {
        name: 'lifeboat',
        async run() {
          const run = await backUpWhole(site, VM, disk);
          return { ...run, counts: { bytesInS3: await site.storedBytes() } };
        },
      },
      peer: {
        name: 'restic backup',
        async run() {
          await site.deleteObjects(RESTIC_PREFIX);
          await restic.init(endpoint.url, directory, RESTIC_PREFIX);
          const usage = await restic.backup(endpoint.url, directory, RESTIC_PREFIX, disk.path);
          return { ...usage, counts: { bytesInS3: await site.storedBytes(RESTIC_PREFIX) } };
        },
      },
      blocks: disk.dataBlocks,
      notes: { restic: restic.version, endpoint: "the sandbox's own S3" },
      further: (ours) => ({
        fixedBlocksBytes,
        bytesOverFixedBlocks: (ours.counts?.bytesInS3 ?? 0) / fixedBlocksBytes,
      }),
      endpointCpuSeconds: () => endpoint.cpuSeconds(),
    };
  },
};

/** Bytes of the disk's blocks, each compressed by zstd alone, or as it is where that is no shorter. */
async function compressedBytes(disk: MadeDisk): Promise<number> {
  const compress = promisify(zstdCompress);
  const file = await open(disk.path, 'r');
  let bytes = 0;
  try {
    for (let index = 0; index < disk.blocks; index++) {
      if (kindOf(index) === 'zeros') continue;
      const block = Buffer.allocUnsafe(BLOCK_SIZE);
      await file.read(block, 0, BLOCK_SIZE, index * BLOCK_SIZE);
      bytes += Math.min(BLOCK_SIZE, (await compress(block)).length);
    }
  } finally {
    await file.close();
  }
  return bytes;
}
