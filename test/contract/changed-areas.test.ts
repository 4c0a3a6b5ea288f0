import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHypervisor, stopAllVms } from '../../hypervisor/local';
import { shortHash, VmFiles } from '../../hypervisor/local/vm-files';
import { type DiskArea, type Hypervisor } from '../../hypervisor/port';
import { toolOutput } from '../../host/run-tool';
import { qmpSocketOf } from '../../machines/machine';
import { withQmp } from '../../machines/qmp';
import { contents, expectCovered, onDisk, write } from './hypervisor-contract';
import { commandsAsGuest, writeAsGuest } from './write-as-guest';

/** Disks are handed out by FUSE, which needs root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

const VM = 'db';
const MIB = 2 ** 20;
/** No multiple of a granule (512 KiB). */
const SIZE = 24 * MIB + 7 * 512;
const GRANULE = 512 * 1024;

/** `made here`: as failback makes it; the others by qemu-img. */
const KINDS = ['made here', 'monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'qcow2', 'raw'];

asRoot('changed areas of the local hypervisor (needs root)', () => {
  let directory: string;
  let files: VmFiles;
  let hypervisor: Hypervisor;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'areas-'));
    files = new VmFiles(directory, VM);
    hypervisor = localHypervisor({ directory });
  });
  afterEach(async () => {
    await stopAllVms(directory);
    await rm(directory, { recursive: true, force: true });
  });

  async function makeVm(kind = 'made here'): Promise<void> {
    const hardware = { cpus: 1, memoryMiB: 64, firmware: 'bios', nics: [], guestOs: 'debian12' } as const;
    const disk = { key: 'system', sizeBytes: SIZE, slot: 0, boot: true };
    await hypervisor.createVm(VM, { ...hardware, nics: [] });
    if (kind === 'made here') return hypervisor.addDisk(VM, disk);
    const format = kind === 'qcow2' || kind === 'raw' ? kind : 'vmdk';
    const path = join(files.home, `disk.${format}`);
    const options = format === 'vmdk' ? ['-o', `subformat=${kind}`] : [];
    await toolOutput('qemu-img', ['create', '-q', '-f', format, ...options, path, String(SIZE)]);
    const file = await files.read();
    file.configuration.disks.push(disk);
    await files.write({ ...file, images: { system: { file: `disk.${format}`, format } } });
  }

  const guestWrites = (offset: number, length: number, pattern = 0x5a) =>
    writeAsGuest(files.home, 0, offset, length, pattern);
  const areas = (id: string, since?: string) => hypervisor.changedAreas(VM, id, 'system', since);

  async function snapshotContents(id: string): Promise<Buffer> {
    await hypervisor.snapshotVm(VM, id);
    return onDisk(await hypervisor.openSnapshotDisk(VM, id, 'system'), contents, 'r');
  }

  it.each(KINDS)('of a powered-off VM with a disk of kind %s are what is not a hole', async (kind) => {
    await makeVm(kind);
    const expected = Buffer.alloc(SIZE);
    await hypervisor.snapshotVm(VM, 'empty');
    const bytes = sum((await areas('empty'))!);
    expect(bytes).toBeLessThanOrEqual(4096); // QEMU writes a page of a raw file when it makes it
    await onDisk(await hypervisor.openDisk(VM, 'system'), async (file) => {
      await write(file, expected, 3 * MIB + 100, 1000, 0x11);
      await write(file, expected, SIZE - 10, 10, 0x12);
    });
    await hypervisor.snapshotVm(VM, 'written');
    const found = (await areas('written'))!;
    expectCovered(found, Buffer.alloc(SIZE), expected);
    expect(sum(found)).toBeLessThan(3 * 64 * 1024);
    expect(await areas('written', 'empty')).toBeUndefined();
  });

  it('of a powered-off VM are none while nobody may have written', async () => {
    await makeVm('qcow2');
    await hypervisor.snapshotVm(VM, 'b1');
    await hypervisor.releaseSnapshot(VM, 'b1');
    await hypervisor.snapshotVm(VM, 'b2');
    expect(await areas('b2', 'b1')).toEqual([]);
    expect(await areas('b2', 'b2')).toEqual([]);
    expect(await areas('b2', 'unknown')).toBeUndefined();

    // Somebody puts another image there, without asking.
    const path = join(files.home, 'disk.qcow2');
    await utimes(path, new Date(), new Date());
    expect(await areas('b2', 'b1')).toBeUndefined();

    await hypervisor.snapshotVm(VM, 'b3');
    await (await hypervisor.openDisk(VM, 'system')).close();
    await hypervisor.snapshotVm(VM, 'b4');
    expect(await areas('b4', 'b3')).toBeUndefined();

    // The disk grows.
    await hypervisor.snapshotVm(VM, 'b5');
    await toolOutput('qemu-img', ['resize', '-q', '-f', 'qcow2', path, String(SIZE + MIB)]);
    const file = await files.read();
    file.configuration.disks[0]!.sizeBytes = SIZE + MIB;
    await files.write(file);
    await hypervisor.snapshotVm(VM, 'b6');
    expect(await areas('b6', 'b5')).toBeUndefined();
  });

  it.each(KINDS)('of a running VM with a disk of kind %s are the blocks that were written', async (kind) => {
    await makeVm(kind);
    await hypervisor.powerOn(VM);
    await hypervisor.snapshotVm(VM, 'b1');
    await hypervisor.releaseSnapshot(VM, 'b1');
    await guestWrites(5 * GRANULE + 512, 512);
    await guestWrites(SIZE - 512, 512);
    await hypervisor.snapshotVm(VM, 'b2');
    await guestWrites(0, 512);
    await hypervisor.snapshotVm(VM, 'b3');
    await guestWrites(10 * GRANULE, 512);

    const first = [
      { offset: 5 * GRANULE, length: GRANULE },
      { offset: 48 * GRANULE, length: SIZE - 48 * GRANULE },
    ];
    const second = { offset: 0, length: GRANULE };
    // In any order, as often as one likes, and for a process that has just started.
    hypervisor = localHypervisor({ directory });
    expect(await areas('b3', 'b1')).toEqual([second, ...first]);
    expect(await areas('b3', 'b2')).toEqual([second]);
    expect(await areas('b2', 'b1')).toEqual(first);
    expect(await areas('b3', 'b1')).toEqual([second, ...first]);
    expect(await areas('b3', 'b3')).toEqual([]);
    expect(await areas('b2', 'b3')).toBeUndefined();
    expect(await areas('b3', 'unknown')).toBeUndefined();
    await expect(areas('b1')).rejects.toThrow('has none of this name');

    await hypervisor.powerOff(VM);
    await hypervisor.powerOn(VM);
    await expect(areas('b3', 'b2')).rejects.toThrow(/lost/);
    await hypervisor.snapshotVm(VM, 'b4');
    expect(await areas('b4', 'b3')).toBeUndefined();
    expect(await areas('b4', 'b1')).toBeUndefined();
  });

  it.each(['made here', 'qcow2', 'raw'])(
    'of a running VM with a disk of kind %s miss no write, whenever it comes',
    async (kind) => {
      await makeVm(kind);
      await hypervisor.powerOn(VM);
      const disks: Buffer[] = [];
      for (let round = 0; round < 6; round++) {
        const id = `b${round}`;
        // In flight when the snapshot is taken, and while its areas are looked for.
        await randomRequests();
        const taking = hypervisor.snapshotVm(VM, id);
        await randomRequests();
        await taking;
        const [allocated] = await Promise.all([areas(id), randomRequests()]);
        const disk = await snapshotContents(id);
        expectCovered(allocated!, Buffer.alloc(SIZE), disk);
        for (const back of [1, 2].filter((rounds) => rounds <= round)) {
          const found = await areas(id, `b${round - back}`);
          expectCovered(found!, disks[round - back]!, disk);
        }
        disks.push(disk);
        if (round % 2 === 0) await hypervisor.releaseSnapshot(VM, id);
      }
      expect(await areas('b5', 'b0')).toBeUndefined(); // bitmaps are not kept for ever
    },
    90_000,
  );

  it('of a running VM count a write in flight to the interval whose snapshot holds it', async () => {
    await makeVm();
    await hypervisor.powerOn(VM);
    const before = await snapshotContents('b1');
    await withQmp(await qmpSocketOf(files.home), async (qmp) => {
      // A byte a second: what is written now waits, until something needs all requests to be done.
      const none = { bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
      await qmp.execute('block_set_io_throttle', { id: 'drive0', bps: 1, ...none });
    });
    const writes = [1, 3, 5].map((granule) => `aio_write -P 1 ${granule * GRANULE} 4096`);
    await commandsAsGuest(files.home, 0, writes);
    const after = await snapshotContents('b2');
    expect(after.equals(before)).toBe(false);
    expectCovered((await areas('b2', 'b1'))!, before, after);
  });

  /** Writes, and zeros, that need not be done when the monitor answers. */
  async function randomRequests(): Promise<void> {
    const commands = Array.from({ length: 20 }, () => {
      const offset = 512 * Math.floor(Math.random() * (SIZE / 512 - 1));
      const length = Math.min(SIZE - offset, 512 * (1 + Math.floor(Math.random() * 400)));
      const zeros = ['-z', '-z -u'][Math.floor(Math.random() * 8)];
      return `aio_write ${zeros ?? `-P ${1 + Math.floor(Math.random() * 255)}`} ${offset} ${length}`;
    });
    await commandsAsGuest(files.home, 0, commands);
  }

  it('count from the first of two snapshots under one id, and to the last', async () => {
    await makeVm();
    await hypervisor.powerOn(VM);
    await hypervisor.snapshotVm(VM, 'b1');
    await guestWrites(GRANULE, 512);
    await hypervisor.snapshotVm(VM, 'b2');
    // Its process dies before it has given the snapshot to anybody.
    await forget('b2');
    await guestWrites(2 * GRANULE, 512);
    await hypervisor.snapshotVm(VM, 'b2');
    expect(await areas('b2', 'b1')).toEqual([{ offset: GRANULE, length: 2 * GRANULE }]);
    // Nobody can know which of the two a backup "b2" is of.
    await hypervisor.snapshotVm(VM, 'b3');
    expect(await areas('b3', 'b2')).toBeUndefined();

    // One that was given up is taken by nobody again: no try that comes late, either.
    await hypervisor.releaseSnapshot(VM, 'b3');
    await expect(hypervisor.snapshotVm(VM, 'b3')).rejects.toThrow(/was given up/);
    await hypervisor.snapshotVm(VM, 'b4');
    expect(await areas('b4', 'b2')).toBeUndefined();
  });

  /** As if the process had died between the transaction and its end. */
  async function forget(id: string): Promise<void> {
    const path = join(files.snapshots, shortHash(id), 'snapshot.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"taken"', '"taking"'));
  }

  it('do not mind what a process left behind that died while it asked', async () => {
    await makeVm();
    await hypervisor.powerOn(VM);
    await hypervisor.snapshotVm(VM, 'b1');
    await guestWrites(GRANULE, 512);
    await hypervisor.snapshotVm(VM, 'b2');
    for (const next of [() => areas('b2', 'b1'), () => areas('b2'), () => hypervisor.snapshotVm(VM, 'b3')]) {
      await withQmp(await qmpSocketOf(files.home), async (qmp) => {
        const path = (await qmpSocketOf(files.home)).replace('.qmp', '.nbd');
        await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } });
        await qmp.execute('block-export-add', {
          type: 'nbd',
          id: 'areas',
          name: 'areas',
          'node-name': 'disk0',
          bitmaps: [`lifeboat-1-${shortHash('b1')}`],
        });
      });
      await next();
    }
    expect(await areas('b3', 'b1')).toEqual([{ offset: GRANULE, length: GRANULE }]);
  });

  it('are not told by a bitmap that QEMU does not hold any more', async () => {
    await makeVm();
    await hypervisor.powerOn(VM);
    for (const id of ['b1', 'b2', 'b3']) await hypervisor.snapshotVm(VM, id);
    await withQmp(await qmpSocketOf(files.home), (qmp) =>
      qmp.execute('block-dirty-bitmap-remove', { node: 'disk0', name: `lifeboat-2-${shortHash('b2')}` }),
    );
    expect(await areas('b3', 'b1')).toBeUndefined();
    expect(await areas('b3', 'b2')).toBeUndefined();
  });

  it('stay few, however scattered a disk is', async () => {
    await makeVm('raw');
    const path = join(files.home, 'disk.raw');
    const size = 40_000 * 2 * 4096;
    await truncate(path, size);
    const file = await open(path, 'r+');
    const page = randomBytes(4096);
    for (let i = 0; i < 40_000; i++) await file.write(page, 0, 4096, i * 8192);
    await file.close();
    const vm = await files.read();
    vm.configuration.disks[0]!.sizeBytes = size;
    await files.write(vm);
    await hypervisor.snapshotVm(VM, 'b1');
    const found = (await areas('b1'))!;
    expect(found.length).toBeLessThanOrEqual(32_768);
    expect(found[0]!.offset).toBe(0);
    expect(found.at(-1)!.offset + found.at(-1)!.length).toBeGreaterThanOrEqual(size - 4096);
  });
});

function sum(areas: DiskArea[]): number {
  return areas.reduce((bytes, { length }) => bytes + length, 0);
}
