import { randomFillSync } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openFileSink } from '../../blocks/file-sink';
import { blockMemory } from '../../blocks/memory';
import { BLOCK_SIZE } from '../../blocks/port';
import { ZERO_BLOCK, ZERO_SHA256 } from '../../blocks/zero';
import { localHypervisor } from '../../hypervisor/local';

const run = promisify(execFile);
/** No multiple of a block. */
const SIZE = 160 * BLOCK_SIZE + 1536;
const BLOCKS = Math.ceil(SIZE / BLOCK_SIZE);
const NO_DIGEST = Buffer.alloc(32);
const root = process.getuid?.() === 0 ? it : it.skip;

/** Writes blocks, many at once, and flushes meanwhile, as a copy does; each block's memory is used again at once. */
async function writeBlocks(path: string, indexes: number[], disk: Buffer, zeros: number): Promise<void> {
  const sink = await openFileSink(path, SIZE);
  const left = [...indexes];
  const worker = async (): Promise<void> => {
    for (let index = left.shift(); index !== undefined; index = left.shift()) {
      const lease = await blockMemory.take();
      const length = Math.min(BLOCK_SIZE, SIZE - index * BLOCK_SIZE);
      try {
        if (Math.random() < zeros) {
          disk.fill(0, index * BLOCK_SIZE, index * BLOCK_SIZE + length);
          await sink.write(index, ZERO_BLOCK, ZERO_SHA256);
          continue;
        }
        randomFillSync(lease.bytes.fill(0), 0, length);
        lease.bytes.copy(disk, index * BLOCK_SIZE, 0, length);
        await sink.write(index, lease.bytes, NO_DIGEST);
        lease.bytes.fill(0xee);
      } finally {
        lease.release();
      }
    }
  };
  const flushes = setInterval(() => void sink.flush(), 50);
  try {
    await Promise.all(Array.from({ length: 48 }, worker));
    await sink.flush();
  } finally {
    clearInterval(flushes);
    await sink.close();
  }
}

root.each([
  // As Lifeboat makes it: the disk's own file is written.
  'flat',
  // As a VM may be brought along: written through qemu-storage-daemon, by FUSE.
  'sparse',
])(
  "a VM's %s disk holds what is written to it, in two passes, byte for byte",
  async (kind) => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-disk-'));
    const hypervisor = localHypervisor({ directory });
    try {
      await hypervisor.createVm('db', { cpus: 1, memoryMiB: 64, firmware: 'bios', nics: [], guestOs: 'x' });
      await hypervisor.addDisk('db', { key: 'system', sizeBytes: SIZE, slot: 0, boot: true });
      const image = join(directory, 'vms', 'db', 'system.vmdk');
      if (kind !== 'flat')
        await run('qemu-img', [
          'create',
          '-q',
          '-f',
          'vmdk',
          '-o',
          'subformat=monolithicSparse',
          image,
          String(SIZE),
        ]);
      const disk = Buffer.alloc(SIZE);
      const all = Array.from({ length: BLOCKS }, (_, index) => index);
      for (const [indexes, zeros] of [
        [all, 0],
        [all.filter(() => Math.random() < 0.3), 0.3],
        [all.filter((index) => index > 40 && index < 140), 1],
      ] as const) {
        const opened = await hypervisor.openDisk('db', 'system');
        expect(opened.path.endsWith('-flat.vmdk')).toBe(kind === 'flat');
        try {
          await writeBlocks(opened.path, [...indexes], disk, zeros);
        } finally {
          await opened.close();
        }
        const raw = join(directory, 'raw');
        await run('qemu-img', ['convert', '-f', 'vmdk', '-O', 'raw', image, raw]);
        const written = await readFile(raw);
        const wrong = all.filter((index) => {
          const [from, to] = [index * BLOCK_SIZE, Math.min((index + 1) * BLOCK_SIZE, SIZE)];
          return !written.subarray(from, to).equals(disk.subarray(from, to));
        });
        expect(wrong).toEqual([]);
      }
    } finally {
      await hypervisor.deleteVm('db');
      await rm(directory, { recursive: true });
    }
  },
  60_000,
);
