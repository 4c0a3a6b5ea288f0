import { type FileHandle, open } from 'node:fs/promises';
import {
  type DiskArea,
  type Hypervisor,
  type OpenDisk,
  type VmConfiguration,
  VmExistsError,
  VmNotFoundError,
} from '../../hypervisor/port';

/** What a contract run needs of an adapter besides the port: somewhere to run, and a guest that writes. */
export interface HypervisorUnderTest {
  hypervisor: Hypervisor;
  /** The same site, as a process that has just started sees it. */
  afresh(): Hypervisor;
  /** Writes bytes through the running VM, as its guest would. */
  writeAsGuest(vm: string, slot: number, offset: number, length: number, pattern: number): Promise<void>;
  remove(): Promise<void>;
}

const HARDWARE: Omit<VmConfiguration, 'disks'> = {
  cpus: 1,
  memoryMiB: 64,
  firmware: 'bios',
  nics: [{ network: 'dc', mac: '00:50:56:00:00:01' }],
  guestOs: 'debian12',
};

/** A multiple of 512, but not of 64 KiB (a VMDK's grain), 512 KiB (a block) or a GiB. */
const ODD_SIZE = 5 * 1024 * 1024 + 3 * 512;

const SYSTEM = { key: 'system', sizeBytes: ODD_SIZE, slot: 0, boot: true };
const DATA = { key: 'data', sizeBytes: 3 * 1024 * 1024 + 512, slot: 1, boot: false };

/** What every adapter of the Hypervisor port must do. */
export function hypervisorContract(setUp: () => Promise<HypervisorUnderTest>): void {
  let site: HypervisorUnderTest;
  let hypervisor: Hypervisor;

  beforeEach(async () => {
    site = await setUp();
    hypervisor = site.hypervisor;
  });
  afterEach(() => site.remove());

  async function createWithDisks(vm: string): Promise<void> {
    await hypervisor.createVm(vm, HARDWARE);
    for (const disk of [SYSTEM, DATA]) await hypervisor.addDisk(vm, disk);
  }

  it('creates, describes, lists and deletes VMs, each call as often as one likes', async () => {
    expect(await hypervisor.listVms()).toEqual([]);
    for (let i = 0; i < 2; i++) {
      await createWithDisks('web');
      await hypervisor.createVm('db', HARDWARE, 'run 1');
    }
    expect(await hypervisor.listVms()).toEqual(['db', 'web']);
    expect(await hypervisor.describeVm('web')).toEqual({ ...HARDWARE, disks: [SYSTEM, DATA], power: 'off' });
    expect(await hypervisor.describeVm('db')).toEqual({
      ...HARDWARE,
      disks: [],
      power: 'off',
      mark: 'run 1',
    });

    const changed = { ...HARDWARE, cpus: 2, memoryMiB: 128, nics: [] };
    for (let i = 0; i < 2; i++) await hypervisor.configureVm('web', changed);
    expect(await hypervisor.describeVm('web')).toMatchObject({ ...changed, disks: [SYSTEM, DATA] });

    for (let i = 0; i < 2; i++) await hypervisor.deleteVm('web');
    expect(await site.afresh().listVms()).toEqual(['db']);
    await expect(hypervisor.describeVm('web')).rejects.toThrow(VmNotFoundError);
  });

  it('leaves a VM alone that is not of the run that asks', async () => {
    await hypervisor.createVm('db', HARDWARE, 'run 1');
    await hypervisor.configureVm('db', { ...HARDWARE, cpus: 2 });
    await hypervisor.createVm('db', HARDWARE, 'run 1');
    expect(await hypervisor.describeVm('db')).toMatchObject({ cpus: 2, mark: 'run 1' });
    await expect(hypervisor.createVm('db', HARDWARE, 'run 2')).rejects.toThrow(VmExistsError);
    await expect(hypervisor.createVm('db', HARDWARE)).rejects.toThrow(VmExistsError);
    await hypervisor.createVm('web', HARDWARE);
    await expect(hypervisor.createVm('web', HARDWARE, 'run 1')).rejects.toThrow(VmExistsError);
  });

  it.each(['../web', '', 'a/b', '.', 'a\0b', 'x'.repeat(200), 'web\n'])(
    'takes no VM named %j',
    async (name) => {
      await expect(hypervisor.createVm(name, HARDWARE)).rejects.toThrow();
      await expect(hypervisor.describeVm(name)).rejects.toThrow();
      await expect(hypervisor.deleteVm(name)).rejects.toThrow();
    },
  );

  it('takes no disk with a hostile key, a size that is no multiple of 512, or a place that is taken', async () => {
    await createWithDisks('web');
    const disk = { key: 'more', sizeBytes: 1024 * 1024, slot: 2, boot: false };
    const wrong = [
      { key: '../x' },
      { key: '' },
      { sizeBytes: 1000 },
      { sizeBytes: 0 },
      { slot: 0 },
      { slot: -1 },
    ];
    for (const change of [...wrong, { boot: true }, { key: 'data' }]) {
      await expect(hypervisor.addDisk('web', { ...disk, ...change })).rejects.toThrow();
    }
    await expect(hypervisor.openDisk('web', '../web/system')).rejects.toThrow();
    expect((await hypervisor.describeVm('web')).disks).toEqual([SYSTEM, DATA]);
  });

  it('says what space there is', async () => {
    expect(await hypervisor.freeBytes()).toBeGreaterThan(ODD_SIZE);
  });

  it('hands out a disk of exactly its size, empty at first, that keeps two passes of writes', async () => {
    await createWithDisks('web');
    const expected = Buffer.alloc(ODD_SIZE);
    await onDisk(await hypervisor.openDisk('web', 'system'), async (file) => {
      expect((await contents(file)).equals(expected)).toBe(true);
      await write(file, expected, 512 * 1024 - 7, 700_000, 0xaa);
      await write(file, expected, ODD_SIZE - 5, 5, 0xbb);
    });
    await onDisk(await site.afresh().openDisk('web', 'system'), async (file) => {
      expect((await contents(file)).equals(expected)).toBe(true);
      await write(file, expected, 600_000, 3, 0);
      await write(file, expected, 0, 512, 0xcc);
    });
    await onDisk(await hypervisor.openDisk('web', 'system'), async (file) => {
      expect((await contents(file)).equals(expected)).toBe(true);
    });
  });

  it('lets several open one disk, and keeps it open until the last has closed it', async () => {
    await createWithDisks('web');
    const [first, second] = await Promise.all([
      hypervisor.openDisk('web', 'data'),
      site.afresh().openDisk('web', 'data'),
    ]);
    const expected = Buffer.alloc(DATA.sizeBytes);
    await onDisk(first, (file) => write(file, expected, 0, 4096, 0x11));
    await first.close(); // once more does no harm
    await expect(hypervisor.powerOn('web')).rejects.toThrow();
    await onDisk(second, async (file) => {
      await write(file, expected, 4096, 4096, 0x22);
      expect((await contents(file)).equals(expected)).toBe(true);
    });
    await hypervisor.powerOn('web');
    await expect(hypervisor.openDisk('web', 'data')).rejects.toThrow();
  });

  it('takes a snapshot of a powered-off VM, which is void once its disks may have changed', async () => {
    await createWithDisks('web');
    const expected = Buffer.alloc(ODD_SIZE);
    await onDisk(await hypervisor.openDisk('web', 'system'), (file) =>
      write(file, expected, 1000, 1000, 0x5a),
    );
    const before = Date.now();
    const taken = await hypervisor.snapshotVm('web', 'run/1');
    expect(taken.consistency).toBe('powered-off');
    expect(Date.parse(taken.takenAt)).toBeGreaterThanOrEqual(before);
    expect(await site.afresh().snapshotVm('web', 'run/1')).toEqual(taken);

    const disk = await hypervisor.openSnapshotDisk('web', 'run/1', 'system');
    await expect(overwrite(disk.path)).rejects.toThrow();
    await onDisk(disk, async (file) => expect((await contents(file)).equals(expected)).toBe(true), 'r');

    await hypervisor.powerOn('web');
    await expect(hypervisor.openSnapshotDisk('web', 'run/1', 'system')).rejects.toThrow(/lost/);
    await expect(hypervisor.snapshotVm('web', 'run/1')).rejects.toThrow(/lost/);
    for (let i = 0; i < 2; i++) await hypervisor.releaseSnapshot('web', 'run/1');
    expect((await hypervisor.snapshotVm('web', 'run/1')).consistency).toBe('crash');
  });

  it('holds all disks of a running VM as they were at one instant, for any process, until released', async () => {
    await createWithDisks('web');
    const expected = { system: Buffer.alloc(ODD_SIZE), data: Buffer.alloc(DATA.sizeBytes) };
    for (const key of ['system', 'data'] as const) {
      await onDisk(await hypervisor.openDisk('web', key), (file) =>
        write(file, expected[key], 70_000, 900_000, 0x77),
      );
    }
    await hypervisor.powerOn('web');
    await hypervisor.powerOn('web');
    expect((await hypervisor.describeVm('web')).power).toBe('running');
    await site.writeAsGuest('web', 0, 4096, 4096, 0x33);
    expected.system.fill(0x33, 4096, 8192);

    const taken = await hypervisor.snapshotVm('web', 'run 1');
    expect(taken.consistency).toBe('crash');
    await site.writeAsGuest('web', 0, 65_536, 512 * 1024, 0x99);
    await site.writeAsGuest('web', 1, 0, 1024 * 1024, 0x99);
    const later = await hypervisor.snapshotVm('web', 'run 2');

    const other = site.afresh();
    expect(await other.snapshotVm('web', 'run 1')).toEqual(taken);
    for (const key of ['system', 'data'] as const) {
      const disk = await other.openSnapshotDisk('web', 'run 1', key);
      await expect(overwrite(disk.path)).rejects.toThrow();
      await onDisk(
        disk,
        async (file) => expect((await contents(file)).equals(expected[key])).toBe(true),
        'r',
      );
    }
    expected.data.fill(0x99, 0, 1024 * 1024);
    await site.writeAsGuest('web', 1, 0, 512, 0x44);
    await onDisk(
      await other.openSnapshotDisk('web', 'run 2', 'data'),
      async (file) => expect((await contents(file)).equals(expected.data)).toBe(true),
      'r',
    );

    for (let i = 0; i < 2; i++) await other.releaseSnapshot('web', 'run 1');
    await expect(hypervisor.openSnapshotDisk('web', 'run 1', 'data')).rejects.toThrow();
    expect(await other.snapshotVm('web', 'run 2')).toEqual(later);

    await hypervisor.powerOff('web');
    expect((await hypervisor.describeVm('web')).power).toBe('off');
    await expect(other.openSnapshotDisk('web', 'run 2', 'data')).rejects.toThrow(/lost/);
    await other.releaseSnapshot('web', 'run 2');
    // What the guest wrote is on the disk, and the snapshots have left it alone.
    expected.data.fill(0x44, 0, 512);
    await onDisk(await other.openDisk('web', 'data'), async (file) =>
      expect((await contents(file)).equals(expected.data)).toBe(true),
    );
  });

  it('tells which areas a snapshot has changed in, or that it cannot tell', async () => {
    await createWithDisks('web');
    const empty = Buffer.alloc(ODD_SIZE);
    const expected = Buffer.alloc(ODD_SIZE);
    const markers = new Map<string, string | undefined>();
    const take = async (id: string): Promise<void> => {
      markers.set(id, (await hypervisor.snapshotVm('web', id)).changeMarkers.system);
    };
    const covered = async (id: string, before: Buffer, earlier?: string) => {
      const since = earlier === undefined ? undefined : (markers.get(earlier) ?? 'no marker of this adapter');
      const areas = await site.afresh().changedAreas('web', id, 'system', since);
      if (areas) expectCovered(areas, before, expected);
      return areas;
    };
    await onDisk(await hypervisor.openDisk('web', 'system'), (file) =>
      write(file, expected, 70_000, 900_000, 0x77),
    );
    await take('off');
    await covered('off', empty);
    await hypervisor.releaseSnapshot('web', 'off');
    await take('off again');
    await covered('off again', expected, 'off');
    expect(await covered('off again', empty, 'never taken')).toBeUndefined();
    await expect(hypervisor.changedAreas('web', 'off', 'system')).rejects.toThrow();
    await expect(hypervisor.changedAreas('web', 'off again', 'none')).rejects.toThrow();

    await hypervisor.powerOn('web');
    await take('run 1');
    const first = Buffer.from(expected);
    await covered('run 1', empty);
    await covered('run 1', first, 'off again');
    await hypervisor.releaseSnapshot('web', 'run 1');
    await site.writeAsGuest('web', 0, ODD_SIZE - 1024, 1024, 0x22);
    expected.fill(0x22, ODD_SIZE - 1024);
    await take('run 2');
    await site.writeAsGuest('web', 0, 0, 4096, 0x33);
    await covered('run 2', empty);
    await covered('run 2', first, 'run 1');
    expected.fill(0x33, 0, 4096);
    await take('run 3');
    await covered('run 3', first, 'run 1');
    expect(await covered('run 3', empty, 'never taken')).toBeUndefined();
  });

  it('says so when a guest does not shut down, and can take its power away', async () => {
    await createWithDisks('web');
    await hypervisor.shutDown('web', 1);
    await hypervisor.powerOn('web');
    await expect(hypervisor.shutDown('web', 1)).rejects.toThrow('has not shut down within 1 s');
    expect(typeof (await hypervisor.consoleOutput('web'))).toBe('string');
    for (let i = 0; i < 2; i++) await hypervisor.powerOff('web');
    expect((await hypervisor.describeVm('web')).power).toBe('off');
    await hypervisor.powerOn('web');
    await hypervisor.snapshotVm('web', 'held');
    await hypervisor.deleteVm('web');
    expect(await hypervisor.listVms()).toEqual([]);
  });
}

/** That areas are in order, on the disk, and hold every byte in which it differs. */
export function expectCovered(areas: DiskArea[], before: Buffer, after: Buffer): void {
  let end = 0;
  const rest = { before: Buffer.from(before), after: Buffer.from(after) };
  for (const { offset, length } of areas) {
    expect(length).toBeGreaterThan(0);
    expect(offset).toBeGreaterThanOrEqual(end);
    end = offset + length;
    for (const disk of Object.values(rest)) disk.fill(0, offset, end);
  }
  expect(end).toBeLessThanOrEqual(after.length);
  expect(rest.after.equals(rest.before)).toBe(true);
}

export async function onDisk<Result>(
  disk: OpenDisk,
  work: (file: FileHandle) => Promise<Result>,
  mode = 'r+',
): Promise<Result> {
  const file = await open(disk.path, mode);
  try {
    expect((await file.stat()).size).toBe(disk.sizeBytes);
    return await work(file);
  } finally {
    await file.close();
    await disk.close();
  }
}

export async function overwrite(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.alloc(512));
  } finally {
    await file.close();
  }
}

export async function write(
  file: FileHandle,
  copy: Buffer,
  offset: number,
  length: number,
  byte: number,
): Promise<void> {
  copy.fill(byte, offset, offset + length);
  await file.write(Buffer.alloc(length, byte), 0, length, offset);
}

export async function contents(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat();
  const buffer = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const { bytesRead } = await file.read(buffer, done, size - done, done);
    if (bytesRead === 0) throw new Error(`The disk ends at ${done} of ${size} bytes.`);
    done += bytesRead;
  }
  return buffer;
}
