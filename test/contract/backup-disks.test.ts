import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BLOCK_SIZE } from '../../blocks/port';
import { waitForEnd } from '../../host/pid-file';
import { projectRoot } from '../../host/project-root';
import { runTool, toolOutput } from '../../host/run-tool';
import { type BackupDisk, BackupDiskLostError, withBackupDisks } from '../../repository/devices/backup-disks';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { type ObjectStore } from '../../repository/objects/object-store';
import { DamagedBlockError } from '../../repository/packs/pack';
import { backUpFiles, BACKUP_ID } from '../support/backed-up-disks';
import { MemoryObjectStore } from '../support/memory-object-store';
import { VM } from '../support/small-backups';
import { type Pattern, patternDisk } from '../support/synthetic-disk';

const MIB = 2 ** 20;
const random = (n: number): Pattern => ({ random: String(n) });

/** Blocks of zeros, of text and of noise, and a last one that is not whole: 12 MiB and two sectors. */
const SYSTEM = patternDisk(
  Array.from({ length: 25 }, (_, n) =>
    n % 5 === 1 ? 'zero' : n % 5 === 2 ? { text: `block ${n} ` } : random(n),
  ),
  24 * BLOCK_SIZE + 1024,
);
const DATA = patternDisk(['zero', random(100), 'zero']);

let directory: string;
let store: MemoryObjectStore;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-backup-disks-'));
  store = new MemoryObjectStore();
  const files = { system: join(directory, 'system.raw'), data: join(directory, 'data.raw') };
  await writeFile(files.system, SYSTEM);
  await writeFile(files.data, DATA);
  await backUpFiles(store, files);
  for (const path of Object.values(files)) await rm(path);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function withDisks<T>(
  work: (disks: ReadonlyMap<string, BackupDisk>) => Promise<T>,
  { largestBytes = 64 * MIB, signal }: { largestBytes?: number; signal?: AbortSignal } = {},
): Promise<T> {
  return withBackupDisks({ store, vm: VM, recoveryPoint: BACKUP_ID, directory, largestBytes, signal }, work);
}

/** Reads a file by a process of its own, as tools do. */
async function read(path: string): Promise<Buffer> {
  const copy = join(directory, 'read');
  try {
    await toolOutput('cp', ['--sparse=never', path, copy]);
    return await readFile(copy);
  } finally {
    await rm(copy, { force: true });
  }
}

async function expectNothingLeft(): Promise<void> {
  expect(await readdir(directory)).toEqual([]);
  expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(directory);
  expect(await toolOutput('ps', ['-eo', 'args'])).not.toContain(directory);
}

describe('Disks of a backup', () => {
  it('are files with exactly what was backed up', async () => {
    await withDisks(async (disks) => {
      expect([...disks.keys()]).toEqual(['system', 'data']);
      const { path, sizeBytes } = disks.get('system')!;
      expect(sizeBytes).toBe(SYSTEM.length);
      expect((await stat(path)).size).toBe(SYSTEM.length);
      expect((await read(path)).equals(SYSTEM)).toBe(true);
      expect((await read(disks.get('data')!.path)).equals(DATA)).toBe(true);
      expect(await disks.get('data')!.writtenBlocks()).toEqual([]);
    });
    await expectNothingLeft();
  });

  it('can be read by the process that serves them, with all of its threads waiting', async () => {
    await withDisks(async (disks) => {
      const file = await open(disks.get('system')!.path);
      // Four times as many as libuv has threads.
      const reads = Array.from({ length: 16 }, (_, n) =>
        file.read(Buffer.alloc(4096), 0, 4096, n * BLOCK_SIZE),
      );
      for (const [n, { buffer }] of (await Promise.all(reads)).entries())
        expect(buffer.equals(SYSTEM.subarray(n * BLOCK_SIZE, n * BLOCK_SIZE + 4096))).toBe(true);
      await file.close();
    });
  });

  it('tell every block that differs, however it was written', async () => {
    await withDisks(async (disks) => {
      const { path, writtenBlocks } = disks.get('system')!;
      const expected = Buffer.from(SYSTEM);
      const file = await open(path, 'r+');
      for (const { at, length, fill } of pieces()) {
        const bytes = patternDisk([fill]).subarray(0, length);
        expect((await file.write(bytes, 0, length, at)).bytesWritten).toBe(length);
        bytes.copy(expected, at);
      }
      await file.close();
      // Zeros by the file system's own calls, over parts of two blocks and over a whole one; where it refuses, as they are.
      for (const how of ['--zero-range', '--punch-hole']) {
        const { exitCode } = await runTool(
          'fallocate',
          [how, '--keep-size', `--offset=${13.5 * BLOCK_SIZE + 1000}`, `--length=${BLOCK_SIZE}`, path],
          { timeoutSeconds: 60 },
        );
        if (exitCode === 0) expected.fill(0, 13.5 * BLOCK_SIZE + 1000, 14.5 * BLOCK_SIZE + 1000);
      }
      const differs = Array.from({ length: 25 }, (_, n) => n).filter(
        (n) => !block(expected, n).equals(block(SYSTEM, n)),
      );
      expect(differs).toEqual(expect.arrayContaining([0, 13, 14, 24]));
      expect(differs.length).toBeLessThan(25);
      const written = await writtenBlocks();
      expect(written).toEqual(expect.arrayContaining(differs));
      // Blocks in which nothing was written are not read again.
      expect(written.length).toBeLessThan(25);
      expect((await read(path)).equals(expected)).toBe(true);
    });
    await expectNothingLeft();
  });

  it('tell what is damaged in the repository, and not what a tool made of it', async () => {
    const [pack] = packs();
    store.objects.get(pack!)!.fill(0, 1000, 1001);
    const damaged = withDisks((disks) => read(disks.get('system')!.path));
    await expect(damaged).rejects.toThrow(DamagedBlockError);
    await expectNothingLeft();
    store.objects.delete(pack!);
    const missing = withDisks((disks) => read(disks.get('system')!.path));
    await expect(missing).rejects.toThrow(new DamagedObjectError(pack!, 'it is missing or too short.'));
    await expectNothingLeft();
  });

  it('fail the work that did not mind that a block could not be read', async () => {
    store.objects.delete(packs()[0]!);
    const work = withDisks((disks) => read(disks.get('system')!.path).catch(() => 'all is well'));
    await expect(work).rejects.toThrow(DamagedObjectError);
    const absent = {
      store,
      vm: VM,
      recoveryPoint: BACKUP_ID.replace(/1$/, '2'),
      directory,
      largestBytes: MIB,
    };
    await expect(withBackupDisks(absent, () => Promise.resolve())).rejects.toThrow(DamagedObjectError);
    await expectNothingLeft();
  });

  it('are read in spite of passing troubles, and give up on those that stay', async () => {
    let calls = 0;
    replaceReadRange((key, offset, into) =>
      calls++ % 3 === 2
        ? MemoryObjectStore.prototype.readRange.call(store, key, offset, into)
        : Promise.reject(slowDown()),
    );
    await withDisks(async (disks) => {
      expect((await read(disks.get('data')!.path)).equals(DATA)).toBe(true);
    });
    expect(calls).toBeGreaterThan(2);
    replaceReadRange(() => Promise.reject(new Error('Access Denied')));
    await expect(withDisks((disks) => read(disks.get('data')!.path))).rejects.toThrow('Access Denied');
    await expectNothingLeft();
  });

  it('end with the signal, also in the middle of a read', async () => {
    const aborted = new AbortController();
    // A read that never ends by itself.
    replaceReadRange((_key, _offset, _into, signal) => {
      setImmediate(() => aborted.abort(new Error('cancelled')));
      return once(signal!, 'abort').then(() => signal!.throwIfAborted());
    });
    const work = withDisks((disks) => read(disks.get('system')!.path), { signal: aborted.signal });
    await expect(work).rejects.toThrow('cancelled');
    await expectNothingLeft();
    await expect(withDisks(() => Promise.resolve(), { signal: aborted.signal })).rejects.toThrow('cancelled');
  });

  it.each([
    ['say that they are gone where more was written than they may hold', false],
    ['say so also where whoever wrote did not mind', true],
  ])('%s', async (_, ignored) => {
    const work = withDisks(
      async (disks) => {
        const writing = toolOutput('dd', [
          'if=/dev/urandom',
          `of=${disks.get('system')!.path}`,
          'bs=1M',
          'count=8',
          'conv=notrunc',
        ]);
        await (ignored ? writing.catch(() => 'all is well') : writing);
      },
      { largestBytes: 2 * MIB },
    );
    await expect(work).rejects.toThrow(BackupDiskLostError);
    await expectNothingLeft();
  });

  it('say so where their daemon is killed, though the work did not see it', async () => {
    const work = withDisks(async (disks) => {
      const pid = await readFile(join(dirname(disks.get('system')!.path), 'pid'), 'utf8');
      process.kill(Number(pid), 'SIGKILL');
      expect(await waitForEnd(Number(pid), directory, 10_000)).toBe(true);
    });
    await expect(work).rejects.toThrow(BackupDiskLostError);
    await expectNothingLeft();
  });

  it('of a process that was killed in the middle of a read are swept by the next', async () => {
    const disk = join(directory, 'disk.raw');
    await writeFile(disk, DATA);
    const script = join(projectRoot(), 'test/support/run-typescript.mjs');
    const module = join(__dirname, 'backup-disks-to-be-killed.ts');
    const killed = spawnSync(process.execPath, [script, module, disk, directory], { encoding: 'utf8' });
    expect(killed.signal).toBe('SIGKILL');
    await rm(disk);
    expect(await readFile('/proc/self/mounts', 'utf8')).toContain(killed.stdout.trim());
    await withDisks(() => Promise.resolve());
    await expectNothingLeft();
  });

  it('go when the work fails, with its own error', async () => {
    await expect(withDisks(() => Promise.reject(new RangeError('not so')))).rejects.toThrow(RangeError);
    await expectNothingLeft();
  });
});

const replaceReadRange = (readRange: ObjectStore['readRange']) => Object.assign(store, { readRange });
const packs = (): string[] => [...store.objects.keys()].filter((key) => key.includes('/packs/'));

/** What S3 says when it is asked too fast, as the SDK throws it. */
const slowDown = (): Error =>
  Object.assign(new Error('Please reduce your request rate.'), { name: 'SlowDown' });

const block = (disk: Buffer, n: number): Buffer => disk.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE);

/** Writes at odd offsets, across blocks, of zeros over noise and over zeros, and at both ends; the same in every run. */
function pieces(): { at: number; length: number; fill: Pattern }[] {
  const some = Array.from({ length: 12 }, (_, n) => ({
    at: (n * 7 * 104_729) % (12 * BLOCK_SIZE),
    length: 1 + ((n * 15_485_863) % 9000),
    fill: n % 4 === 3 ? ('zero' as const) : random(1000 + n),
  }));
  return [
    ...some,
    { at: 0, length: 512, fill: random(1) },
    { at: 10 * BLOCK_SIZE - 3, length: 7, fill: random(2) },
    { at: 11 * BLOCK_SIZE, length: 4096, fill: 'zero' },
    { at: SYSTEM.length - 5, length: 5, fill: random(3) },
  ];
}
