import { open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { openScratchDisk, sweepScratchDisks } from '../../machines/scratch-disk';

const SIZE = 8 * 2 ** 20 + 512;
const MIB = 2 ** 20;

let directory: string;
let disk: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-scratch-test-'));
  disk = join(directory, 'disk.raw');
  await writeFile(disk, Buffer.alloc(MIB, 7));
  await truncate(disk, SIZE);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function write(path: string, bytes: Buffer, position: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    // A write may take a part only, and say that there is no room at the next.
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
      at += bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

describe('A scratch disk', () => {
  it('reads what lies below, keeps what is written, and leaves what lies below as it is', async () => {
    const before = await readFile(disk);
    const scratch = await openScratchDisk({ file: disk }, SIZE, 64 * MIB, directory);
    expect((await stat(scratch.path)).size).toBe(SIZE);
    expect((await readFile(scratch.path)).equals(before)).toBe(true);
    await write(scratch.path, Buffer.alloc(4096, 9), 4096);
    const after = await readFile(scratch.path);
    expect(after.subarray(4096, 8192).equals(Buffer.alloc(4096, 9))).toBe(true);
    expect(after.subarray(8192).equals(before.subarray(8192))).toBe(true);
    await scratch.close();
    expect((await readFile(disk)).equals(before)).toBe(true);
    expect(await readdir(directory)).toEqual(['disk.raw']);
  });

  it('takes no more than it may, and is gone all the same', async () => {
    const scratch = await openScratchDisk({ file: disk }, SIZE, 2 * MIB, directory);
    await expect(write(scratch.path, Buffer.alloc(6 * MIB, 1), 0)).rejects.toThrow();
    await scratch.close();
    expect(await readdir(directory)).toEqual(['disk.raw']);
  });

  it('says what is wrong with a disk that is not there, and leaves nothing', async () => {
    await expect(openScratchDisk({ file: join(directory, 'absent') }, SIZE, MIB, directory)).rejects.toThrow(
      /absent/,
    );
    expect(await readdir(directory)).toEqual(['disk.raw']);
  });

  it('of a process that was killed is swept, and no other', async () => {
    const script = `
      const { openScratchDisk } = require(process.argv[1]);
      openScratchDisk({ file: process.argv[2] }, ${SIZE}, ${MIB}, process.argv[3]).then(({ path }) => {
        console.log(path);
        process.kill(process.pid, 'SIGKILL');
      });`;
    const built = join(projectRoot(), 'dist/machines/scratch-disk.js');
    const killed = spawnSync(process.execPath, ['-e', script, built, disk, directory], { encoding: 'utf8' });
    expect(killed.signal).toBe('SIGKILL');
    const path = killed.stdout.trim();
    expect((await stat(path)).size).toBe(SIZE);

    const ours = await openScratchDisk({ file: disk }, SIZE, MIB, directory);
    await sweepScratchDisks(directory);
    expect((await stat(ours.path)).size).toBe(SIZE);
    await expect(stat(dirname(path))).rejects.toThrow(/ENOENT/);
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(path);
    await ours.close();
    await sweepScratchDisks(join(directory, 'absent'));
    expect(await readdir(directory)).toEqual(['disk.raw']);
  });
});
