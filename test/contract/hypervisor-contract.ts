import { type FileHandle, open } from 'node:fs/promises';
import { busOf, byPlace, type DiskPlace, nameControllers, placeName } from '../../machines/disk-place';
import {
  type ControllerKind,
  type DiskArea,
  type DiskConfiguration,
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
  /** What {@link Hypervisor.listVms} tells of VMs that were there before, such as the one that this host is. */
  others?: string[];
  /** Writes bytes through the running VM, as its guest would. */
  writeAsGuest(vm: string, slot: number, offset: number, length: number, pattern: number): Promise<void>;
  remove(): Promise<void>;
}

/** What adapters differ in, and may. */
export interface AdapterTraits {
  /** Names that no VM can have there, and some that one can. */
  refusedNames: string[];
  takenNames: string[];
  /** Kinds of controllers that a VM can have there; the first is the kind where none is named. */
  controllers: [ControllerKind, ...ControllerKind[]];
  /** A network of the site. */
  network: string;
  guestOs: string;
}

/** A multiple of 512, but not of 64 KiB (a VMDK's grain), 512 KiB (a block) or a GiB. */
const ODD_SIZE = 5 * 1024 * 1024 + 3 * 512;

const SYSTEM = { key: 'system', sizeBytes: ODD_SIZE, slot: 0, boot: true };
const DATA = { key: 'data', sizeBytes: 3 * 1024 * 1024 + 512, slot: 1, boot: false };

/** The least VM of a site. */
export const hardwareOf = ({
  network,
  guestOs,
}: Pick<AdapterTraits, 'network' | 'guestOs'>): Omit<VmConfiguration, 'disks'> => ({
  ...{ cpus: 1, memoryMiB: 64, firmware: 'bios', guestOs },
  nics: [{ network, mac: '00:50:56:00:00:01' }],
});

/** What every adapter of the Hypervisor port must do. */
export function hypervisorContract(
  { refusedNames, takenNames, controllers, network, guestOs }: AdapterTraits,
  setUp: () => Promise<HypervisorUnderTest>,
): void {
  const HARDWARE = hardwareOf({ network, guestOs });
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

  /** The VMs that a test has made. */
  async function listed(by: Hypervisor = hypervisor): Promise<string[]> {
    return (await by.listVms()).filter((vm) => !site.others?.includes(vm));
  }

  /** A VM without what a site may add to what it was given: its own names for it, and the kind of its controller. */
  async function described(vm: string) {
    const { displayName: _, diskController: __, identity: ___, ...rest } = await hypervisor.describeVm(vm);
    return rest;
  }

  /** Where a snapshot cannot outlast what happened, it has to say so; where it can, it has to be what it was. */
  async function lostOrUnchanged<Result>(
    asked: Promise<Result>,
    unchanged: (result: Result) => Promise<void>,
  ) {
    let result;
    try {
      result = await asked;
    } catch (error) {
      expect(String(error)).toMatch(/lost/);
      return;
    }
    await unchanged(result);
  }
  const expectContents = (expected: Buffer) => (disk: OpenDisk) =>
    onDisk(disk, async (file) => expect((await contents(file)).equals(expected)).toBe(true), 'r');

  it('creates, describes, lists and deletes VMs, each call as often as one likes', async () => {
    expect(await listed()).toEqual([]);
    for (let i = 0; i < 2; i++) {
      await createWithDisks('web');
      await hypervisor.createVm('db', HARDWARE, 'run 1');
    }
    expect(await listed()).toEqual(['db', 'web']);
    expect(await described('web')).toEqual({ ...HARDWARE, disks: [SYSTEM, DATA], power: 'off' });
    expect(await described('db')).toEqual({
      ...HARDWARE,
      disks: [],
      power: 'off',
      mark: 'run 1',
    });

    const changed = { ...HARDWARE, cpus: 2, memoryMiB: 128, nics: [] };
    for (let i = 0; i < 2; i++) await hypervisor.configureVm('web', changed);
    expect(await hypervisor.describeVm('web')).toMatchObject({ ...changed, disks: [SYSTEM, DATA] });

    for (let i = 0; i < 2; i++) await hypervisor.deleteVm('web');
    expect(await listed(site.afresh())).toEqual(['db']);
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

  it.each(refusedNames)('takes no VM named %j', async (name) => {
    await expect(hypervisor.createVm(name, HARDWARE)).rejects.toThrow();
    await expect(hypervisor.describeVm(name)).rejects.toThrow();
    await expect(hypervisor.deleteVm(name)).rejects.toThrow();
  });

  it('takes other names as they are', async () => {
    for (const name of takenNames) {
      await createWithDisks(name);
      expect(await described(name)).toMatchObject({ disks: [SYSTEM, DATA] });
    }
    expect((await listed()).sort()).toEqual([...takenNames].sort());
    for (const name of takenNames) await site.afresh().deleteVm(name);
    expect(await listed()).toEqual([]);
  });

  it('keeps what people call a VM through every change, and tells it with a snapshot', async () => {
    const hardware = { ...HARDWARE, displayName: 'Web server, 2nd floor' };
    for (let i = 0; i < 2; i++) await hypervisor.createVm('web', hardware, 'run 1');
    await hypervisor.addDisk('web', SYSTEM);
    const { displayName } = await hypervisor.describeVm('web');
    // Another only where the site has one name for a VM, and that is the one that it is asked by.
    expect([hardware.displayName, 'web']).toContain(displayName);
    await hypervisor.configureVm('web', { ...hardware, cpus: 2 });
    expect(await site.afresh().describeVm('web')).toMatchObject({ cpus: 2, displayName });
    expect((await hypervisor.snapshotVm('web', 'run 1')).configuration.displayName).toBe(displayName);
    await hypervisor.releaseSnapshot('web', 'run 1');
  });

  it('puts disks on as many controllers as they name, and finds each again', async () => {
    const disks = placesOn(controllers).map((place, index): DiskConfiguration => ({
      key: placeName(place).replace(':', '-'),
      sizeBytes: (1 + index) * 1024 * 1024 + 512,
      ...place,
      boot: index === 0,
    }));
    await hypervisor.createVm('web', HARDWARE);
    // Not in their order.
    for (const disk of [...disks].reverse())
      for (let i = 0; i < 2; i++) await hypervisor.addDisk('web', disk);
    const [first] = disks;
    await expect(hypervisor.addDisk('web', { ...first!, key: 'other', boot: false })).rejects.toThrow();

    const expected = new Map<string, Buffer>();
    for (const { key, sizeBytes } of disks) {
      const bytes = Buffer.alloc(sizeBytes);
      await onDisk(await hypervisor.openDisk('web', key), (file) =>
        write(file, bytes, sizeBytes - 4096, 4096, 1 + expected.size),
      );
      expected.set(key, bytes);
    }
    const inOrder = ({ disks, diskController }: VmConfiguration) =>
      nameControllers(disks, diskController ?? controllers[0]).sort(byPlace);
    expect(inOrder(await site.afresh().describeVm('web'))).toEqual(
      inOrder({ ...HARDWARE, disks, diskController: controllers[0] }),
    );

    await hypervisor.powerOn('web');
    const { configuration } = await hypervisor.snapshotVm('web', 'run 1');
    expect(inOrder(configuration)).toEqual(inOrder({ ...configuration, disks }));
    for (const [key, bytes] of expected)
      await expectContents(bytes)(await site.afresh().openSnapshotDisk('web', 'run 1', key));
    await hypervisor.releaseSnapshot('web', 'run 1');
    await hypervisor.powerOff('web');
  });

  it('leaves disks out of a snapshot, and says which', async () => {
    await createWithDisks('web');
    for (const excludeDisks of [['system'], ['system', 'data']]) {
      await expect(hypervisor.snapshotVm('web', 'run 1', { excludeDisks })).rejects.toThrow(/boot/);
    }
    const options = { excludeDisks: ['data', 'nowhere'] };
    const taken = await hypervisor.snapshotVm('web', 'run 1', options);
    expect(taken.configuration.disks).toEqual([SYSTEM]);
    for (const key of Object.keys(taken.changeMarkers)) expect(key).toBe('system');
    for (const key of options.excludeDisks)
      expect(taken.notes.filter((note) => note.includes(`"${key}"`))).toHaveLength(1);
    expect(await site.afresh().snapshotVm('web', 'run 1', options)).toEqual(taken);
    await expectContents(Buffer.alloc(ODD_SIZE))(await hypervisor.openSnapshotDisk('web', 'run 1', 'system'));
    await hypervisor.releaseSnapshot('web', 'run 1');
    expect((await hypervisor.snapshotVm('web', 'run 2')).configuration.disks).toEqual([SYSTEM, DATA]);
    await hypervisor.releaseSnapshot('web', 'run 2');
  });

  it('quiesces a guest, or takes the snapshot without and says so', async () => {
    await createWithDisks('web');
    const off = await hypervisor.snapshotVm('web', 'off', { consistency: 'quiesced' });
    expect(off).toMatchObject({ consistency: 'powered-off', notes: [] });
    await hypervisor.releaseSnapshot('web', 'off');
    await hypervisor.powerOn('web');
    expect(await hypervisor.snapshotVm('web', 'asked not', { consistency: 'crash' })).toMatchObject({
      consistency: 'crash',
      notes: [],
    });
    await hypervisor.releaseSnapshot('web', 'asked not');
    const { consistency, notes } = await hypervisor.snapshotVm('web', 'on', { consistency: 'quiesced' });
    expect({ consistency, notes: notes.length }).toEqual(
      consistency === 'quiesced' ? { consistency, notes: 0 } : { consistency: 'crash', notes: 1 },
    );
    await hypervisor.releaseSnapshot('web', 'on');
    await hypervisor.powerOff('web');
  });

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

  it('takes a snapshot of a powered-off VM, which is lost or stays as it is when the VM runs', async () => {
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
    await site.writeAsGuest('web', 0, 0, 4096, 0x66);
    await lostOrUnchanged(hypervisor.openSnapshotDisk('web', 'run/1', 'system'), expectContents(expected));
    await lostOrUnchanged(hypervisor.snapshotVm('web', 'run/1'), (again) =>
      Promise.resolve(expect(again).toEqual(taken)),
    );
    for (let i = 0; i < 2; i++) await hypervisor.releaseSnapshot('web', 'run/1');
    expect((await hypervisor.snapshotVm('web', 'run/2')).consistency).toBe('crash');
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
    const held = Buffer.from(expected.data);
    await lostOrUnchanged(other.openSnapshotDisk('web', 'run 2', 'data'), expectContents(held));
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
    expect(await listed()).toEqual([]);
  });
}

/** Places that a guest tells apart by their controller alone, or by the slot alone, on two controllers of each bus. */
function placesOn([first, ...more]: [ControllerKind, ...ControllerKind[]]): DiskPlace[] {
  const next = new Map([[busOf(first), 2]]);
  return [
    { slot: 0 },
    { slot: 1 },
    { slot: 0, controller: { kind: first, bus: 1 } },
    ...more.flatMap((kind) => {
      const bus = next.get(busOf(kind)) ?? 0;
      // SCSI numbers its controllers whatever their kind, up to four.
      next.set(busOf(kind), bus + 1);
      const buses = busOf(kind) === 'scsi' ? [bus] : [bus, bus + 1];
      return buses.map((number) => ({ slot: 1, controller: { kind, bus: number } }));
    }),
  ];
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
