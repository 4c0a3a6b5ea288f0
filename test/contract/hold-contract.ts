import { open } from 'node:fs/promises';
import {
  type DiskConfiguration,
  type Hypervisor,
  type OpenDisk,
  VmExistsError,
  VmHeldError,
  VmNotFoundError,
} from '../../hypervisor/port';
import {
  contents,
  type AdapterTraits,
  hardwareOf,
  type HypervisorUnderTest,
  onDisk,
  write,
} from './hypervisor-contract';

/** Ends in the middle of a block, and of a VMDK's grain. */
const SYSTEM = { key: 'system', sizeBytes: 2 * 2 ** 20 + 3 * 512, slot: 0, boot: true };
const DATA = { key: 'data', sizeBytes: 2 ** 20 + 512, slot: 1, boot: false };
const DISKS: DiskConfiguration[] = [SYSTEM, DATA];

/** What every adapter must do with a VM that a failback finds at home. */
export function holdContract(
  { network, guestOs }: Pick<AdapterTraits, 'network' | 'guestOs'>,
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

  /** A VM with something on its disks. @returns what is on them, by key */
  async function makeVm(vm: string): Promise<Map<string, Buffer>> {
    const expected = new Map<string, Buffer>();
    await hypervisor.createVm(vm, HARDWARE);
    for (const [n, disk] of DISKS.entries()) {
      await hypervisor.addDisk(vm, disk);
      const bytes = Buffer.alloc(disk.sizeBytes);
      await onDisk(await hypervisor.openDisk(vm, disk.key), (file) =>
        write(file, bytes, 100_000, 300_000, 0x11 * (n + 1)),
      );
      expected.set(disk.key, bytes);
    }
    return expected;
  }

  async function expectDisks(vm: string, expected: ReadonlyMap<string, Buffer>): Promise<void> {
    for (const [key, bytes] of expected)
      await onDisk(await hypervisor.openDisk(vm, key), async (file) =>
        expect([key, (await contents(file)).equals(bytes)]).toEqual([key, true]),
      );
  }

  /** Everything of the VM changes, as in a failback that comes as far as its start. */
  async function changeAll(vm: string): Promise<void> {
    for (const { key, sizeBytes } of DISKS)
      await onDisk(await hypervisor.openDisk(vm, key), (file) =>
        write(file, Buffer.alloc(sizeBytes), 0, sizeBytes - 512, 0x77),
      );
    await hypervisor.configureVm(vm, { ...HARDWARE, cpus: 2, memoryMiB: 128, nics: [] });
    await hypervisor.powerOn(vm);
    await site.writeAsGuest(vm, SYSTEM.slot, 4096, 8192, 0x55);
  }

  it('gives a held VM back as it was, by any process, whatever was done to it', async () => {
    const expected = await makeVm('web');
    const before = await hypervisor.describeVm('web');
    for (let i = 0; i < 2; i++) await hypervisor.holdVm('web', 'run/1');
    expect(await site.afresh().describeVm('web')).toEqual({ ...before, heldBy: 'run/1' });
    await expect(hypervisor.holdVm('web', 'run/2')).rejects.toThrow(VmHeldError);
    await changeAll('web');
    await hypervisor.holdVm('web', 'run/1');
    await hypervisor.revertVm('web', 'run/2');
    expect((await hypervisor.describeVm('web')).power).toBe('running');

    for (let i = 0; i < 2; i++) await site.afresh().revertVm('web', 'run/1');
    expect(await hypervisor.describeVm('web')).toEqual(before);
    await expectDisks('web', expected);

    // And once more, by another run.
    await hypervisor.holdVm('web', 'run/2');
    await changeAll('web');
    await hypervisor.revertVm('web', 'run/2');
    await expectDisks('web', expected);
    await hypervisor.powerOn('web');
  });

  it('takes the disks of a VM that it gives back away from whoever writes to them', async () => {
    const expected = await makeVm('web');
    await hypervisor.holdVm('web', 'run/1');
    const late = await hypervisor.openDisk('web', SYSTEM.key);
    const file = await open(late.path, 'r+');
    await file.write(Buffer.alloc(4096, 0x99), 0, 4096, 0);
    await site.afresh().revertVm('web', 'run/1');
    // It may fail, or be for nothing.
    await writeLate(file, late);
    await expectDisks('web', expected);
  });

  it('lets a held VM be what it has become', async () => {
    await makeVm('web');
    await hypervisor.holdVm('web', 'run/1');
    await changeAll('web');
    await hypervisor.dropHold('web', 'run/2');
    expect((await hypervisor.describeVm('web')).heldBy).toBe('run/1');
    for (let i = 0; i < 2; i++) await site.afresh().dropHold('web', 'run/1');
    const { heldBy, power, cpus } = await hypervisor.describeVm('web');
    expect({ heldBy, power, cpus }).toEqual({ heldBy: undefined, power: 'running', cpus: 2 });
    await hypervisor.revertVm('web', 'run/1');
    expect((await hypervisor.describeVm('web')).power).toBe('running');
    await hypervisor.powerOff('web');
    const changed = Buffer.alloc(SYSTEM.sizeBytes);
    changed.fill(0x77, 0, SYSTEM.sizeBytes - 512);
    changed.fill(0x55, 4096, 4096 + 8192);
    await expectDisks('web', new Map([[SYSTEM.key, changed]]));
    await hypervisor.revertVm('gone', 'run/1');
    await hypervisor.dropHold('gone', 'run/1');
  });

  it('holds no VM that runs, or whose disk somebody has open', async () => {
    await makeVm('web');
    await hypervisor.powerOn('web');
    await expect(hypervisor.holdVm('web', 'run/1')).rejects.toThrow(/off/);
    await hypervisor.powerOff('web');
    const disk = await hypervisor.openDisk('web', DATA.key);
    await expect(hypervisor.holdVm('web', 'run/1')).rejects.toThrow(/open|locked|in use/i);
    await disk.close();
    await hypervisor.holdVm('web', 'run/1');
    await expect(hypervisor.holdVm('gone', 'run/1')).rejects.toThrow(VmNotFoundError);
    await hypervisor.deleteVm('web');
  });

  it('gives a VM another name, with its disks, where nobody has that', async () => {
    const expected = await makeVm('web');
    const { displayName: _, ...before } = await hypervisor.describeVm('web');
    const aside = 'web-before-failback-20261130T151000Z';
    await hypervisor.renameVm('web', aside);
    await expect(hypervisor.describeVm('web')).rejects.toThrow(VmNotFoundError);
    expect(await hypervisor.describeVm(aside)).toMatchObject(before);
    await expectDisks(aside, expected);

    await hypervisor.createVm('web', HARDWARE, 'run 1');
    await expect(hypervisor.renameVm(aside, 'web')).rejects.toThrow(VmExistsError);
    await expect(hypervisor.renameVm('web', 'a/b')).rejects.toThrow();
    await hypervisor.deleteVm('web');
    await hypervisor.renameVm(aside, 'web');
    await hypervisor.powerOn('web');
    await expect(hypervisor.renameVm('web', aside)).rejects.toThrow(/off|running/);
    await expect(hypervisor.renameVm('gone', 'other')).rejects.toThrow(VmNotFoundError);
  });
}

async function writeLate(file: Awaited<ReturnType<typeof open>>, disk: OpenDisk): Promise<void> {
  const steps = [
    () => file.write(Buffer.alloc(4096, 0x99), 0, 4096, 8192),
    () => file.sync(),
    () => file.close(),
    () => disk.close(),
  ];
  await Promise.allSettled(steps.map((step) => step()));
}
